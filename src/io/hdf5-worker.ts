import { parentPort, workerData } from 'node:worker_threads'

import { reasonOf } from '../errors.js'
import { OpenHdf5 } from './hdf5-library.js'
import type { Hdf5Reply, Hdf5Request, Hdf5WorkerData } from './hdf5-protocol.js'
import { Hdf5Window } from './hdf5-window.js'

const counter = new Int32Array((workerData as Hdf5WorkerData).progress)

parentPort!.on('message', (request: Hdf5Request) => {
  const reply = answer(request)
  parentPort!.postMessage(reply, 'bytes' in reply ? [reply.bytes.buffer] : [])
})
parentPort!.postMessage('ready')

function answer(request: Hdf5Request): Hdf5Reply {
  try {
    const window = new Hdf5Window(request.source, () => Atomics.add(counter, 0, 1))
    const file = new OpenHdf5(window)
    const reply =
      request.kind === 'describe' ? { description: file.describe(request) } : { bytes: file.read(request) }
    file.close()
    return reply
  } catch (error) {
    return { failure: reasonOf(error) }
  }
}
