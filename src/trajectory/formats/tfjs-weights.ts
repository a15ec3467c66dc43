import { stat } from 'node:fs/promises'
import { dirname } from 'node:path'

import { CheckpointError, CheckpointFormatError } from '../../errors.js'
import { decodeArray, decodeFloats } from '../../io/decode.js'
import { insideFolder } from '../../io/inside-folder.js'
import { withFile } from '../../io/ranged-file.js'
import { BYTES_PER_ELEMENT, elementCount, type DType, type FloatArray } from '../../tensor.js'
import type { TensorInfo } from '../checkpoint.js'
import type { ManifestGroup, ManifestWeight } from './tfjs-manifest.js'

/** One of a group's files, and where its bytes begin among the group's. */
interface Shard {
  readonly path: string
  readonly begin: number
  readonly size: number
}

/** A weight and its bytes: [begin, end) of its group's files, one after the other. */
export interface TfjsTensor extends TensorInfo {
  readonly stored: DType
  readonly quantization?: { readonly min: number; readonly scale: number }
  readonly shards: readonly Shard[]
  readonly begin: number
  readonly end: number
}

/** Element types of a manifest, by the bytes that they are stored in (tfjs-core, `DTYPE_VALUE_SIZE_MAP`). */
const DTYPES: ReadonlyMap<string, DType> = new Map([
  ['float32', 'float32'],
  ['float16', 'float16'],
  ['int32', 'int32'],
  ['uint16', 'uint16'],
  ['uint8', 'uint8'],
  ['bool', 'bool'],
])

/** A complex number is two float32. */
const COMPLEX_BYTES = 8

/** The length in front of each string of a string tensor. */
const LENGTH_BYTES = 4
const MAX_STRINGS = 1_000_000

/** Lengths of strings are read out of blocks of so many bytes, since each has four. */
const BLOCK_BYTES = 64 * 2 ** 10

/**
 * The weights of a group, each with its place; sizes are checked against the files.
 * @param path the `model.json`
 * @param named the files that it has named so far
 * @throws CheckpointError when a file is missing, named twice, none of this folder, or the files have more or fewer bytes
 * @throws CheckpointFormatError for an element type that TensorFlow.js does not know
 */
export async function placeGroup(
  path: string,
  group: ManifestGroup,
  named: Set<string>,
): Promise<TfjsTensor[]> {
  const shards = await findShards(path, group.paths, named)
  const held = shards.reduce((sum, { size }) => sum + size, 0)
  const tensors: TfjsTensor[] = []
  const strings = new StringLengths(shards, path)
  let begin = 0
  for (const weight of group.weights) {
    const tensor = await placeWeight(path, weight, shards, begin, strings)
    if (tensor.end > held) {
      throw new CheckpointError(
        `${path}: truncated: weight ${weight.name} needs bytes ${begin} to ${tensor.end} of ${group.paths.join(' + ')}, ` +
          `which have ${held}; copy the folder again`,
      )
    }
    begin = tensor.end
    tensors.push(tensor)
  }
  if (begin === held) return tensors
  throw new CheckpointError(
    `${path}: corrupt: its weights take ${begin} bytes of ${group.paths.join(' + ')}, which have ${held}`,
  )
}

async function findShards(path: string, names: readonly string[], named: Set<string>): Promise<Shard[]> {
  const shards: Shard[] = []
  let begin = 0
  for (const name of names) {
    const plain = name.replace(/^\.\//, '')
    if (named.has(plain)) throw new CheckpointError(`${path}: corrupt: it names the file ${name} twice`)
    named.add(plain)
    const file = await insideFolder(dirname(path), plain, path, CheckpointError)
    const { size } = await stat(file)
    shards.push({ path: file, begin, size })
    begin += size
  }
  return shards
}

async function placeWeight(
  path: string,
  weight: ManifestWeight,
  shards: readonly Shard[],
  begin: number,
  strings: StringLengths,
): Promise<TfjsTensor> {
  const { name, shape, dtype, quantization } = weight
  const where = { name, shape, shards, begin }
  if (dtype === 'string' || dtype === 'complex64') {
    const length =
      dtype === 'string' ? await strings.sizeOf(weight, begin) : COMPLEX_BYTES * elementCount(shape)
    return { ...where, dtype: 'uint8', unsupported: dtype, stored: 'uint8', end: begin + length }
  }
  const [own, stored] = [DTYPES.get(dtype), DTYPES.get(quantization?.dtype ?? dtype)]
  if (own === undefined || stored === undefined)
    throw new CheckpointFormatError(`${path}: weight ${name} has element type ${dtype}, which is not read`)
  const end = begin + BYTES_PER_ELEMENT[stored] * elementCount(shape)
  if (quantization === undefined || quantization.dtype === 'float16')
    return { ...where, dtype: own, stored, end }
  const { min, scale } = quantization
  if (min === undefined || scale === undefined)
    throw new CheckpointError(
      `${path}: corrupt: weight ${name} is quantized to ${stored} without 'min' and 'scale'`,
    )
  return { ...where, dtype: own, stored, quantization: { min, scale }, end }
}

/** Strings have no fixed size: each tells its own length. */
class StringLengths {
  private block = new Uint8Array()
  private blockBegin = 0
  private left = MAX_STRINGS

  constructor(
    private readonly shards: readonly Shard[],
    private readonly path: string,
  ) {}

  /** The bytes that a weight of strings takes from `begin` on. */
  async sizeOf({ name, shape }: ManifestWeight, begin: number): Promise<number> {
    const count = elementCount(shape)
    this.left -= count
    if (this.left < 0)
      throw new CheckpointFormatError(
        `${this.path}: more than ${MAX_STRINGS} strings (weight ${name} has ${count}), which are no weights`,
      )
    let at = begin
    for (let i = 0; i < count; i++) at += LENGTH_BYTES + (await this.lengthAt(at, name))
    return at - begin
  }

  private async lengthAt(begin: number, name: string): Promise<number> {
    if (begin < this.blockBegin || begin + LENGTH_BYTES > this.blockBegin + this.block.length) {
      const last = this.shards.at(-1)!
      const held = last.begin + last.size - begin
      const length = Math.max(LENGTH_BYTES, Math.min(BLOCK_BYTES, held))
      this.block = await readRange(this.shards, begin, length, `${this.path}: weight ${name}`)
      this.blockBegin = begin
    }
    return new DataView(this.block.buffer).getUint32(begin - this.blockBegin, true)
  }
}

/** The values of a float weight; quantized ones as TensorFlow.js restores them: q * scale + min, rounded once. */
export async function readWeight(tensor: TfjsTensor, path: string): Promise<FloatArray> {
  const { name, stored, quantization, shards, begin, end } = tensor
  const bytes = await readRange(shards, begin, end - begin, `${path}: weight ${name}`)
  if (stored === 'float32' || stored === 'float16') return decodeFloats(bytes, stored)
  const { min, scale } = quantization!
  const levels = decodeArray(bytes, stored) as Uint8Array | Uint16Array
  const values = new Float32Array(levels.length)
  for (let i = 0; i < levels.length; i++) values[i] = levels[i]! * scale + min
  return values
}

/** Bytes [begin, begin + length) of files that follow each other. */
async function readRange(
  shards: readonly Shard[],
  begin: number,
  length: number,
  where: string,
): Promise<Uint8Array<ArrayBuffer>> {
  const last = shards.at(-1)!
  if (begin + length > last.begin + last.size)
    throw new CheckpointError(`${where} leaves its files: they have ${last.begin + last.size} bytes`)
  const bytes = new Uint8Array(length)
  for (const shard of shards) {
    const from = Math.max(begin, shard.begin)
    const to = Math.min(begin + length, shard.begin + shard.size)
    if (from >= to) continue
    const part = await withFile(shard.path, CheckpointError, (file) =>
      file.read(from - shard.begin, to - from),
    )
    bytes.set(part, from - begin)
  }
  return bytes
}
