import { createHash } from 'node:crypto'

import { openArrayFile } from '../../src/data/array-files.js'
import { readModel } from '../../src/onnx/read.js'
import { elementCount, isFloat } from '../../src/tensor.js'
import { openTrajectory } from '../../src/trajectory/open-trajectory.js'
import type { Seed } from './seeds.js'

/** A digest of the numbers of every array that was read, by its place. */
export type Digests = ReadonlyMap<string, string>

/** Reads all numbers that a path holds. Throws what the readers throw, and an Error where they contradict themselves. */
export function readAll(kind: Seed['kind'], path: string): Promise<Digests> {
  return READERS[kind](path)
}

const READERS: Readonly<Record<Seed['kind'], (path: string) => Promise<Digests>>> = {
  trajectory: async (path) => {
    const trajectory = await openTrajectory(path)
    try {
      const digests = new Map<string, string>()
      for (const checkpoint of trajectory.checkpoints)
        for (const { name, shape, dtype, unsupported } of checkpoint.tensors.values()) {
          if (!isFloat(dtype) || unsupported !== undefined) continue
          const { data, shape: read } = await checkpoint.read(name)
          agree(name, elementCount(shape), data.length, elementCount(read))
          digests.set(`${checkpoint.step} ${name} ${shape.join(' x ')}`, digest([data]))
        }
      return digests
    } finally {
      await trajectory.close()
    }
  },
  data: async (path) => {
    const file = await openArrayFile(path)
    try {
      const digests = new Map<string, string>()
      for (const array of file.arrays) {
        if (!('dtype' in array)) continue
        const blocks: ArrayBufferView[] = []
        let length = 0
        for await (const block of array.blocks()) {
          blocks.push(block.slice())
          length += block.length
        }
        agree(array.name, elementCount(array.shape), length)
        digests.set(`${array.name} ${array.shape.join(' x ')}`, digest(blocks))
      }
      return digests
    } finally {
      file.close()
    }
  },
  model: async (path) => {
    const { initializers } = await readModel(path)
    return new Map(
      [...initializers].map(([name, { shape, read }]) => [`${name} ${shape.join(' x ')}`, digest([read()])]),
    )
  },
}

function agree(name: string, ...counts: readonly number[]): void {
  if (new Set(counts).size > 1) throw new Error(`${name}: ${counts.join(', ')} elements in one array`)
}

function digest(blocks: readonly ArrayBufferView[]): string {
  const hash = createHash('sha256')
  for (const { buffer, byteOffset, byteLength } of blocks)
    hash.update(new Uint8Array(buffer, byteOffset, byteLength))
  return hash.digest('hex')
}
