import { readdir } from 'node:fs/promises'
import { basename, join } from 'node:path'

import { CheckpointError } from '../../errors.js'
import { decodeArray, decodeFloats } from '../../io/decode.js'
import { fingerprintFiles } from '../../io/hash.js'
import { withFile } from '../../io/ranged-file.js'
import { elementCount, isFloat, type DType } from '../../tensor.js'
import type { TensorInfo } from '../checkpoint.js'
import { isArray, readFlaxTree, type FlaxArray, type FlaxNode, type FlaxTree } from './flax-arrays.js'
import { findState, weightsIn } from './flax-weights.js'
import { COUNTERS, countersOf, infoOf, requireFloat } from './format.js'
import type {
  CheckpointFormat,
  Counters,
  FloatTensorInfo,
  FolderFormat,
  FormatOptions,
  NotACheckpoint,
  OpenedFile,
  Save,
} from './format.js'

const SHARD = /^flax_model-\d{5}-of-(\d{5})\.msgpack$/

type FlaxTensor = TensorInfo & FlaxArray & { readonly file: string }

/**
 * MessagePack files of Flax, one for each checkpoint: `checkpoint_10` of flax.training.checkpoints (before it called
 * Orbax), and what flax.serialization.to_bytes gives. Optimizers' states are no weights.
 */
export const flax: CheckpointFormat = {
  name: 'Flax',
  match: (head, fileName) => /^[^.]+$|\.(?:msgpack|flax)$/i.test(fileName) && startsWithNamedEntry(head),
  open: (path, options) => openFiles([path], path, options),
}

/** A folder for each checkpoint with the shards of a model, as transformers saved large ones of Flax. */
export const flaxFolder: FolderFormat = {
  name: 'folders of shards of Flax',
  matchFolder: (names) => [...names].some((name) => SHARD.test(name)),
  open: async (path, options) => {
    const files = completeShards(await readdir(path), path)
    return openFiles(
      files.map((name) => join(path, name)),
      path,
      options,
    )
  },
}

/** A dictionary that is not empty, whose first key is a text: MessagePack, and no text itself. */
function startsWithNamedEntry(head: Uint8Array): boolean {
  const code = head[0] ?? 0
  const start = code > 0x80 && code < 0x90 ? 1 : code === 0xde ? 3 : code === 0xdf ? 5 : 0
  const key = head[start] ?? 0
  return start > 0 && ((key > 0xa0 && key < 0xc0) || key === 0xd9)
}

function completeShards(names: readonly string[], path: string): string[] {
  const shards = names.filter((name) => SHARD.test(name)).sort()
  const count = Number(SHARD.exec(shards[0] ?? '')?.[1])
  if (shards.length === count) return shards
  throw new CheckpointError(
    `${path}: holds ${shards.length} of the ${count} shards of its model; the save or the copy was cut off`,
  )
}

/** @param path what the save is called: the file, or the folder around the files */
async function openFiles(
  files: readonly string[],
  path: string,
  options: FormatOptions = { weights: 'raw' },
): Promise<OpenedFile | NotACheckpoint> {
  const { tensors, counters, bytes } = await readHeaders(files, options)
  if (tensors.size === 0) return { reason: 'MessagePack without arrays' }
  const save: Save = {
    path,
    fileName: basename(path),
    bytes,
    tensors: new Map([...tensors].map(([name, tensor]) => [name, infoOf(tensor)])),
    counters,
    read: async (name) => {
      const tensor = requireFloat(tensors, name, path)
      const { dtype, shape } = tensor
      return { dtype, shape, data: decodeFloats(await readPieces(tensor), dtype) }
    },
    fingerprint: () => fingerprintFiles(files, CheckpointError),
  }
  return { saves: [save] }
}

interface Headers {
  readonly tensors: ReadonlyMap<string, FlaxTensor>
  readonly counters: Counters
  readonly bytes: number
}

async function readHeaders(files: readonly string[], { weights }: FormatOptions): Promise<Headers> {
  const tensors = new Map<string, FlaxTensor>()
  let counters: Counters = new Map()
  let bytes = 0
  for (const file of files) {
    const { root, size } = await withFile(file, CheckpointError, async (opened) => ({
      root: await readFlaxTree(opened),
      size: opened.size,
    }))
    const state = findState(root)
    for (const [name, array] of weightsIn(state.weights, weights, file)) {
      if (tensors.has(name)) throw new CheckpointError(`${file}: corrupt: ${name} is in another shard too`)
      tensors.set(name, { ...array, name, file })
    }
    if (counters.size === 0) counters = await countersIn(state.progress, file)
    bytes += size
  }
  return { tensors, counters, bytes }
}

async function readPieces({
  pieces,
  file,
}: Pick<FlaxTensor & FloatTensorInfo, 'pieces' | 'file'>): Promise<Uint8Array<ArrayBuffer>> {
  return withFile(file, CheckpointError, async (opened) => {
    const [only] = pieces
    if (pieces.length === 1) return opened.read(only!.begin, only!.end - only!.begin)
    const bytes = new Uint8Array(pieces.reduce((sum, { begin, end }) => sum + end - begin, 0))
    let at = 0
    for (const { begin, end } of pieces) {
      bytes.set(await opened.read(begin, end - begin), at)
      at += end - begin
    }
    return bytes
  })
}

/** Counters by the first dictionary that has each. */
async function countersIn(trees: readonly FlaxTree[], file: string): Promise<Counters> {
  const values = new Map<string, number>()
  for (const [name] of COUNTERS) {
    for (const tree of trees) {
      const value = values.get(name) ?? (await countOf(tree.get(name), file))
      if (value !== undefined) values.set(name, value)
    }
  }
  return countersOf((name) => values.get(name))
}

/** A counter is a number of Python's, or an array of one whole number. */
async function countOf(node: FlaxNode | undefined, file: string): Promise<number | undefined> {
  if (typeof node === 'number') return node
  if (!isArray(node) || isFloat(node.dtype) || node.unsupported !== undefined) return undefined
  if (elementCount(node.shape) !== 1) return undefined
  const bytes = await readPieces({ pieces: node.pieces, file })
  return Number(decodeArray(bytes, node.dtype as DType)[0])
}
