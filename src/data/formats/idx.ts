import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { pipeline } from 'node:stream'
import { createGunzip } from 'node:zlib'

import { DataError, reasonOf, UsageError } from '../../errors.js'
import { ByteReader } from '../../io/byte-reader.js'
import { decodeArray, swapBytes } from '../../io/decode.js'
import { streamRange, withFile } from '../../io/ranged-file.js'
import { MAX_DEFLATE_RATIO } from '../../io/zip.js'
import { BYTES_PER_ELEMENT, elementCount, type DType, type TypedArray } from '../../tensor.js'
import type { ArrayFile, ReadableArray } from '../stored-array.js'
import { severalFiles, singleFile, type DataFormat } from './format.js'

/** Element types by the third byte of the magic number (Y. LeCun, "The MNIST database", file format). */
const TYPES: ReadonlyMap<number, DType> = new Map([
  [0x08, 'uint8'],
  [0x09, 'int8'],
  [0x0b, 'int16'],
  [0x0c, 'int32'],
  [0x0d, 'float32'],
  [0x0e, 'float64'],
])

/** Images have three axes, video and colour images four or five; more is no idx file. */
const MAX_AXES = 8

const IDX_NAME = /[-._]idx\d[-._]?[a-z]*(\.gz)?$/i
/** The part of a name that tells images from labels: `train-images-idx3-ubyte`, `train-images.idx3-ubyte`. */
const PAIR_NAME = /(images|labels)([-._]idx)[13]([-._][a-z]+)(\.gz)?$/i

/** MNIST's format and that of its kin (EMNIST, Fashion-MNIST, KMNIST): big endian, plain or gzipped. */
export const idx: DataFormat = {
  match: ({ path, head }) => isGzip(head) || IDX_NAME.test(basename(path)) || looksLikeIdx(head),
  open: ({ path }) => openIdx(path),
}

function isGzip(head: Uint8Array): boolean {
  return head[0] === 0x1f && head[1] === 0x8b
}

function looksLikeIdx(head: Uint8Array): boolean {
  const [first, second, type = 0, axes = 0] = head
  return first === 0 && second === 0 && TYPES.has(type) && axes >= 1 && axes <= MAX_AXES
}

async function openIdx(path: string): Promise<ArrayFile> {
  const pair = await findPair(path)
  if (pair === undefined) return singleFile(path, [await idxArray(path, 'x')])
  const { images, labels, missing } = pair
  if (images === undefined || labels === undefined) {
    const hint = `no ${missing} beside it (or ${missing}.gz)`
    return singleFile(path, [await idxArray(path, images === undefined ? 'y' : 'x')], { hint })
  }
  const files = [images, labels].map((file) => ({ name: basename(file), path: file }))
  return severalFiles(path, files, [await idxArray(images, 'x'), await idxArray(labels, 'y')])
}

interface Pair {
  readonly images?: string
  readonly labels?: string
  /** The name of the one that is not there. */
  readonly missing: string
}

/** The images and labels that a file's name belongs to; either may be gzipped. */
async function findPair(path: string): Promise<Pair | undefined> {
  const match = PAIR_NAME.exec(path)
  if (match === null) return undefined
  const [whole, kind = '', middle = '', end = ''] = match
  const stem = path.slice(0, -whole.length)
  const isImages = kind.toLowerCase() === 'images'
  const upper = kind !== kind.toLowerCase()
  const word = isImages ? 'labels' : 'images'
  const other = `${stem}${upper ? word.toUpperCase() : word}${middle}${isImages ? 1 : 3}${end}`
  const sibling = await firstFile([other, `${other}.gz`])
  const missing = basename(other)
  if (isImages) return { images: path, ...(sibling !== undefined && { labels: sibling }), missing }
  return { labels: path, ...(sibling !== undefined && { images: sibling }), missing }
}

async function firstFile(paths: readonly string[]): Promise<string | undefined> {
  for (const path of paths) if ((await stat(path).catch(() => undefined))?.isFile() === true) return path
  return undefined
}

/** The array of one idx file: header only. */
async function idxArray(path: string, name: string): Promise<ReadableArray> {
  const file = await sourceOf(path)
  const reader = new ByteReader(openBytes(file), path, DataError)
  const { dtype, shape, headerSize } = await readHeader(reader, path)
  await reader.close()
  const { size, packed } = file
  const needed = headerSize + elementCount(shape) * BYTES_PER_ELEMENT[dtype]
  if (packed ? needed > size * MAX_DEFLATE_RATIO : needed !== size) {
    const fault = packed || size > needed ? 'corrupt' : 'truncated'
    throw new DataError(`${path}: ${fault}: its idx header promises ${needed} bytes, the file has ${size}`)
  }
  const blocks = (): AsyncIterable<TypedArray> => idxBlocks(file, dtype, needed)
  return { name, where: path, dtype, shape, order: 'row-major', blocks }
}

async function readHeader(
  reader: ByteReader,
  path: string,
): Promise<{ dtype: DType; shape: number[]; headerSize: number }> {
  const magic = await reader.take(4)
  const [first, second, type = 0, axes = 0] = magic
  const dtype = TYPES.get(type)
  if (first !== 0 || second !== 0 || dtype === undefined || axes < 1 || axes > MAX_AXES) {
    const shown = Buffer.from(magic).toString('hex')
    throw new DataError(
      `${path}: not an idx file: its magic number is 0x${shown}, not 0x00000803 as of images; other formats are not read gzipped`,
    )
  }
  const sizes = Buffer.from(await reader.take(4 * axes))
  const shape = Array.from({ length: axes }, (_, axis) => sizes.readUInt32BE(4 * axis))
  if (!Number.isSafeInteger(elementCount(shape) * BYTES_PER_ELEMENT[dtype]))
    throw new DataError(`${path}: corrupt: an idx header of ${shape.join(' x ')} elements`)
  return { dtype, shape, headerSize: 4 + 4 * axes }
}

async function* idxBlocks(file: Source, dtype: DType, needed: number): AsyncGenerator<TypedArray> {
  const { path } = file
  const reader = new ByteReader(bounded(path, openBytes(file), needed), path, DataError)
  try {
    await readHeader(reader, path)
    const itemSize = BYTES_PER_ELEMENT[dtype]
    for await (const bytes of reader.blocks(itemSize)) {
      swapBytes(bytes, itemSize)
      yield decodeArray(bytes, dtype)
    }
  } finally {
    await reader.close()
  }
}

/** Ends a stream that goes on beyond what its header promises: it is corrupt, or a bomb. */
async function* bounded(
  path: string,
  chunks: AsyncIterable<Uint8Array>,
  needed: number,
): AsyncGenerator<Uint8Array> {
  let read = 0
  for await (const chunk of chunks) {
    read += chunk.length
    if (read > needed)
      throw new DataError(
        `${path}: corrupt: it holds more than the ${needed} bytes that its idx header promises`,
      )
    yield chunk
  }
  if (read < needed)
    throw new DataError(`${path}: truncated: its idx header promises ${needed} bytes, only ${read} are there`)
}

interface Source {
  readonly path: string
  readonly size: number
  readonly packed: boolean
}

function sourceOf(path: string): Promise<Source> {
  return withFile(path, DataError, async (file) => {
    const packed = isGzip(await file.read(0, Math.min(2, file.size)))
    return { path, size: file.size, packed }
  })
}

function openBytes({ path, size, packed }: Source): AsyncIterable<Uint8Array> {
  return packed ? gunzip(path) : streamRange(path, 0, size, DataError)
}

/** The unpacked bytes of a gzip file; zlib checks its checksum when the last piece is taken. */
async function* gunzip(path: string): AsyncGenerator<Uint8Array> {
  const unpacked = createGunzip()
  pipeline(createReadStream(path), unpacked, () => undefined)
  try {
    for await (const chunk of unpacked as AsyncIterable<Uint8Array>) yield chunk
  } catch (error) {
    throw new DataError(`${path}: corrupt or truncated gzip: ${reasonOf(error)}`)
  } finally {
    unpacked.destroy()
  }
}

/** The one pair of images and labels in a folder. Throws UsageError where there are several, with their names. */
export async function openIdxFolder(folder: string, names: readonly string[]): Promise<ArrayFile> {
  const images = names.filter((name) => /images/i.test(name))
  const stems = new Set(images.map((name) => name.replace(/\.gz$/, '')))
  if (stems.size === 1) return openIdx(join(folder, images[0]!))
  throw new UsageError(
    stems.size === 0
      ? `${folder}: idx files, but none of images (${[...names].sort().join(', ')})`
      : `${folder} holds ${stems.size} sets of images; name one: ${images
          .sort()
          .map((name) => join(folder, name))
          .join(' or ')}`,
  )
}

/** Whether a folder's file is one of idx, by its name. */
export function isIdxName(name: string): boolean {
  return PAIR_NAME.test(name)
}
