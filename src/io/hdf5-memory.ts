/** Memory that the library takes beside what a file makes it take: its caches and pieces of values. */
const SPARE_BYTES = 64 * 2 ** 20
const PAGE_BYTES = 65_536

/** WebAssembly.Memory, which the types of Node.js leave out. */
interface WasmMemory {
  readonly buffer: ArrayBuffer
  grow(pages: number): number
}

let base = 0
let limit = Infinity

/**
 * Keeps the library from taking memory as a corrupt header pleases. WebAssembly has no other use in its thread.
 * @param started the memory that the library started with, in bytes
 */
export function limitMemory(started: number): void {
  base = started + SPARE_BYTES
  limit = base
  const { Memory } = Reflect.get(globalThis, 'WebAssembly') as { Memory: { prototype: WasmMemory } }
  const grow: unknown = Reflect.get(Memory.prototype, 'grow')
  Memory.prototype.grow = function (pages) {
    if (this.buffer.byteLength + pages * PAGE_BYTES > limit)
      throw new RangeError('the file asks for more memory than its size can need')
    return Reflect.apply(grow as (pages: number) => number, this, [pages])
  }
}

/** Lets the library take so many bytes; what it has taken before it keeps. */
export function allowMemory(bytes: number): void {
  limit = base + bytes
}
