import { stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

import { CheckpointError, CheckpointFormatError, reasonOf } from '../../errors.js'
import { crc32c, maskedCrc32c } from '../../io/crc32c.js'
import { withFile } from '../../io/ranged-file.js'
import { readSortedTable, type TableEntry } from '../../io/sorted-table.js'
import { BYTES_PER_ELEMENT, elementCount, type StoredDType } from '../../tensor.js'
import type { TensorInfo } from '../checkpoint.js'
import { readBundleEntry, readBundleHeader, type BundleEntry, type BundleHeader } from './bundle-proto.js'

/** A tensor in a bundle: `text` entries hold strings, which are no tensors to a network. */
export interface BundleTensor extends TensorInfo {
  readonly entry: BundleEntry
  readonly isText: boolean
}

/** A TensorFlow checkpoint's files: all its tensors by key, and the shards that hold their bytes. */
export interface Bundle {
  /** The index's path, for messages. */
  readonly path: string
  readonly bytes: number
  readonly tensors: ReadonlyMap<string, BundleTensor>
  readonly shards: readonly string[]
}

/** Numbers of the enum `DataType` that are read (tensorflow/core/framework/types.proto). */
const DTYPES: ReadonlyMap<number, StoredDType> = new Map([
  [1, 'float32'],
  [2, 'float64'],
  [3, 'int32'],
  [4, 'uint8'],
  [5, 'int16'],
  [6, 'int8'],
  [9, 'int64'],
  [10, 'bool'],
  [14, 'bfloat16'],
  [17, 'uint16'],
  [19, 'float16'],
  [22, 'uint32'],
  [23, 'uint64'],
  [24, 'float8_e5m2'],
  [25, 'float8_e4m3fn'],
  [26, 'float8_e4m3fnuz'],
  [28, 'float8_e5m2fnuz'],
])
const STRING = 7

/** The version of bundles that is read (tensor_bundle.h, kTensorBundleVersion). */
const VERSION = 1

/** Far more than any run is split into. */
const MAX_SHARDS = 100_000

/**
 * Opens a checkpoint of TensorFlow by its index: a sorted table of the tensors' names, each with its type, its shape and
 * its place in one of the files `PREFIX.data-0000i-of-0000n` (tensorflow/core/util/tensor_bundle).
 * @throws CheckpointError when the index is corrupt, or a data file is missing or too short
 * @throws CheckpointFormatError when numbers are big-endian, or a variable is partitioned
 */
export async function openBundle(path: string): Promise<Bundle> {
  const table = await withFile(path, CheckpointError, async (file) => ({
    size: file.size,
    entries: await readSortedTable(file, CheckpointError),
  }))
  const [first, ...rest] = table.entries
  if (first?.key.length !== 0) throw new CheckpointError(`${path}: corrupt: its first entry is no header`)
  const header = parse(path, 'its header', () => readBundleHeader(first.value))
  checkHeader(path, header)
  const named = rest.filter(isName).map(({ key, value }) => {
    const name = parse(path, 'a name', () => new TextDecoder('utf-8', { fatal: true }).decode(key))
    return [name, parse(path, `tensor ${name}`, () => readBundleEntry(value))] as const
  })
  refusePartitioned(path, named)
  const shards = await findShards(path, header.shards)
  const tensors = new Map<string, BundleTensor>()
  for (const [name, entry] of named) tensors.set(name, placeTensor(path, name, entry, shards))
  refuseOverlaps(path, [...tensors.values()])
  return {
    path,
    bytes: shards.reduce((sum, { size }) => sum + size, table.size),
    tensors,
    shards: shards.map((shard) => shard.path),
  }
}

/**
 * The bytes of a tensor, held against their checksum.
 * @throws CheckpointError when they are corrupt
 */
export async function readTensorBytes(
  bundle: Bundle,
  { name, entry, isText }: BundleTensor,
): Promise<Uint8Array<ArrayBuffer>> {
  const shard = bundle.shards[entry.shard]!
  const bytes = await withFile(shard, CheckpointError, (file) => file.read(entry.offset, entry.size))
  const checksum = isText ? undefined : maskedCrc32c(crc32c(bytes))
  if (checksum === undefined || checksum === entry.crc32c) return bytes
  throw new CheckpointError(
    `${shard}: corrupt: tensor ${name} does not match its checksum in ${basename(bundle.path)}: ` +
      'copy both again, or move the checkpoint out of the folder',
  )
}

/** Slices of partitioned variables stand under keys of their own, in an order-preserving code that begins with zero. */
function isName({ key }: TableEntry): boolean {
  return key[0] !== 0
}

function parse<T>(path: string, what: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    throw new CheckpointError(`${path}: corrupt: ${what} cannot be decoded: ${reasonOf(error)}`)
  }
}

function checkHeader(path: string, { shards, bigEndian, minConsumer }: BundleHeader): void {
  if (shards < 1 || shards > MAX_SHARDS)
    throw new CheckpointError(`${path}: corrupt: its header counts ${shards} data files`)
  if (bigEndian)
    throw new CheckpointFormatError(`${path}: its numbers are big-endian; only little-endian ones are read`)
  if (minConsumer > VERSION)
    throw new CheckpointFormatError(
      `${path}: needs a reader of version ${minConsumer}; version ${VERSION} is read: save it again with tf.train.Checkpoint`,
    )
}

function refusePartitioned(path: string, named: readonly (readonly [string, BundleEntry])[]): void {
  const partitioned = named.find(([, { slices }]) => slices > 0)
  if (partitioned === undefined) return
  throw new CheckpointFormatError(
    `${path}: variable ${partitioned[0]} is partitioned into ${partitioned[1].slices} slices, which are not read; ` +
      'restore it into whole variables and save them again',
  )
}

/** Every tensor has bytes of its own, so that together they are no more than the data files. */
function refuseOverlaps(path: string, tensors: readonly BundleTensor[]): void {
  const filled = tensors.filter(({ entry }) => entry.size > 0)
  filled.sort((a, b) => a.entry.shard - b.entry.shard || a.entry.offset - b.entry.offset)
  for (const [i, { name, entry }] of filled.entries()) {
    const before = filled[i - 1]
    if (before === undefined || before.entry.shard !== entry.shard) continue
    const end = before.entry.offset + before.entry.size
    if (entry.offset < end)
      throw new CheckpointError(
        `${path}: corrupt: tensor ${name} begins at byte ${entry.offset}, before the end of tensor ${before.name} at ${end}`,
      )
  }
}

interface Shard {
  readonly path: string
  readonly size: number
}

async function findShards(path: string, count: number): Promise<Shard[]> {
  const prefix = basename(path).replace(/\.index$/, '')
  const number = (value: number): string => String(value).padStart(5, '0')
  const shards: Shard[] = []
  for (let i = 0; i < count; i++) {
    const name = `${prefix}.data-${number(i)}-of-${number(count)}`
    shards.push(await sizedShard(join(dirname(path), name), path))
  }
  return shards
}

async function sizedShard(path: string, index: string): Promise<Shard> {
  const stats = await stat(path).catch(() => undefined)
  if (stats?.isFile() === true) return { path, size: stats.size }
  throw new CheckpointError(
    `${index}: its data file ${basename(path)} is missing; the save or the copy was cut off`,
  )
}

function placeTensor(path: string, name: string, entry: BundleEntry, shards: readonly Shard[]): BundleTensor {
  const { type, shape, offset, size } = entry
  const shard = shards[entry.shard]
  if (shard === undefined)
    throw new CheckpointError(
      `${path}: corrupt: tensor ${name} is in data file ${entry.shard} of ${shards.length}`,
    )
  if (offset + size > shard.size)
    throw new CheckpointError(
      `${shard.path}: truncated: tensor ${name} needs bytes ${offset} to ${offset + size}, but the file has ${shard.size}`,
    )
  const dtype = DTYPES.get(type)
  const info = { name, shape, entry, isText: type === STRING }
  if (dtype === undefined) return { ...info, dtype: 'uint8', unsupported: `DataType ${type}` }
  const needed = elementCount(shape) * BYTES_PER_ELEMENT[dtype]
  if (needed !== size)
    throw new CheckpointError(
      `${path}: corrupt: tensor ${name}: its shape [${shape.join(', ')}] of ${dtype} takes ${needed} bytes, its place has ${size}`,
    )
  return { ...info, dtype }
}
