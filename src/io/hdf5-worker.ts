import { parentPort, workerData } from 'node:worker_threads'

import { reasonOf } from '../errors.js'
import { LIBRARY_BYTES, OpenHdf5 } from './hdf5-library.js'
import type { Hdf5Reply, Hdf5Request, Hdf5WorkerData } from './hdf5-protocol.js'
import { Hdf5Window } from './hdf5-window.js'

/** Memory that the library may take above its start and the size of the file, for chunks, pieces and its caches. */
const SPARE_MEMORY = 128 * 2 ** 20

const PAGE_BYTES = 65_536

/** WebAssembly.Memory, which the types of Node.js leave out. */
interface WasmMemory {
  readonly buffer: ArrayBuffer
  grow(pages: number): number
}

const counter = new Int32Array((workerData as Hdf5WorkerData).progress)
let memoryLimit = LIBRARY_BYTES + SPARE_MEMORY

limitMemory()
parentPort!.on('message', (request: Hdf5Request) => {
  const reply = answer(request)
  parentPort!.postMessage(reply, 'bytes' in reply ? [reply.bytes.buffer] : [])
})
parentPort!.postMessage('ready')

function answer(request: Hdf5Request): Hdf5Reply {
  try {
    const window = new Hdf5Window(request.source, () => Atomics.add(counter, 0, 1))
    memoryLimit = Math.max(memoryLimit, LIBRARY_BYTES + SPARE_MEMORY + window.length)
    const file = new OpenHdf5(window)
    const reply =
      request.kind === 'describe'
        ? { description: file.describe(request.nested, request.attributes) }
        : { bytes: file.read(request) }
    file.close()
    return reply
  } catch (error) {
    return { failure: reasonOf(error) }
  }
}

/** The memory of WebAssembly grows as a corrupt header pleases; this thread has no other use of it. */
function limitMemory(): void {
  const { Memory } = Reflect.get(globalThis, 'WebAssembly') as { Memory: { prototype: WasmMemory } }
  const grow: unknown = Reflect.get(Memory.prototype, 'grow')
  Memory.prototype.grow = function (pages) {
    if (this.buffer.byteLength + pages * PAGE_BYTES > memoryLimit)
      throw new RangeError('the file asks for more memory than its size can need')
    return Reflect.apply(grow as (pages: number) => number, this, [pages])
  }
}
