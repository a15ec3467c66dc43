import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'

import { openArrayFile, type OpenOptions } from '../../src/data/array-files.js'
import { imageArray } from '../../src/data/images/column.js'
import type { StoredArray } from '../../src/data/stored-array.js'
import { CheckpointFormatError } from '../../src/errors.js'
import { readModel } from '../../src/onnx/read.js'
import { elementCount, isFloat, type FloatArray, type Tensor } from '../../src/tensor.js'
import type { TensorInfo } from '../../src/trajectory/checkpoint.js'
import { openTrajectory } from '../../src/trajectory/open-trajectory.js'
import { recognise } from '../../src/trajectory/recognise.js'

/** A digest of the numbers of every array that was read, by its place. */
export type Digests = ReadonlyMap<string, string>

/**
 * What a path is opened as: the checkpoints of a run, one of them by itself, data, tokens without a header, one image, a
 * network.
 */
export type ReaderKind = 'trajectory' | 'checkpoint' | 'data' | 'tokens' | 'image' | 'model'

/** Reads all numbers that a path holds. Throws what the readers throw, and an Error where they contradict themselves. */
export function readAll(kind: ReaderKind, path: string): Promise<Digests> {
  return READERS[kind](path)
}

const READERS: Readonly<Record<ReaderKind, (path: string) => Promise<Digests>>> = {
  trajectory: async (path) => {
    const trajectory = await openTrajectory(path)
    return await readSaves(
      trajectory.checkpoints.map((checkpoint) => ({ ...checkpoint, place: String(checkpoint.step) })),
    )
  },
  checkpoint: async (path) => {
    const opened = await (await recognise(path))?.open(path)
    if (opened === undefined || 'reason' in opened) throw new CheckpointFormatError(`${path}: no checkpoint`)
    return await readSaves(opened.saves.map((save, i) => ({ ...save, place: String(i) })))
  },
  data: (path) => readFile(path),
  tokens: (path) => readFile(path, { tokens: true }),
  image: async (path) => {
    const bytes = readFileSync(path)
    const cells = async function* (): AsyncGenerator<readonly Uint8Array[]> {
      yield await Promise.resolve([bytes])
    }
    return readArrays([await imageArray({ name: 'image', where: path, rows: 1, cells })])
  },
  model: async (path) => {
    const { initializers } = await readModel(path)
    return new Map(
      [...initializers].map(([name, { shape, read }]) => [`${name} ${shape.join(' x ')}`, digest([read()])]),
    )
  },
}

interface PlacedSave {
  readonly place: string
  readonly tensors: ReadonlyMap<string, TensorInfo>
  read(name: string): Promise<Tensor<FloatArray>>
}

async function readSaves(saves: readonly PlacedSave[]): Promise<Digests> {
  const digests = new Map<string, string>()
  for (const save of saves)
    for (const { name, shape, dtype, unsupported } of save.tensors.values()) {
      if (!isFloat(dtype) || unsupported !== undefined) continue
      const { data, shape: read } = await save.read(name)
      agree(name, elementCount(shape), data.length, elementCount(read))
      digests.set(`${save.place} ${name} ${shape.join(' x ')}`, digest([data]))
    }
  return digests
}

async function readFile(path: string, options: OpenOptions = {}): Promise<Digests> {
  const file = await openArrayFile(path, options)
  return await readArrays(file.arrays)
}

async function readArrays(arrays: readonly StoredArray[]): Promise<Digests> {
  const digests = new Map<string, string>()
  for (const array of arrays) {
    if (!('dtype' in array)) continue
    const hash = createHash('sha256')
    let length = 0
    for await (const block of array.blocks()) {
      hash.update(bytesOf(block))
      length += block.length
    }
    agree(array.name, elementCount(array.shape), length)
    digests.set(`${array.name} ${array.shape.join(' x ')}`, hash.digest('hex'))
  }
  return digests
}

function agree(name: string, ...counts: readonly number[]): void {
  if (new Set(counts).size > 1) throw new Error(`${name}: ${counts.join(', ')} elements in one array`)
}

function digest(blocks: readonly ArrayBufferView[]): string {
  const hash = createHash('sha256')
  for (const block of blocks) hash.update(bytesOf(block))
  return hash.digest('hex')
}

function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength)
}
