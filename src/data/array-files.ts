import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'

import { DataError, UsageError } from '../errors.js'
import { withFile } from '../io/ranged-file.js'
import { cifar, isCifarName, openCifarFolder } from './formats/cifar.js'
import { HEAD_BYTES, startsWith, type Candidate, type DataFormat } from './formats/format.js'
import { hdf5 } from './formats/hdf5.js'
import { idx, isIdxName, openIdxFolder } from './formats/idx.js'
import { npy, npz, openNpyFolder } from './formats/numpy.js'
import { arrow, csv, parquet } from './formats/on-demand.js'
import { safetensors } from './formats/safetensors.js'
import { openShards, openStem, shardNames } from './formats/shards.js'
import { tokens } from './formats/tokens.js'
import type { ArrayFile } from './stored-array.js'

/** Formats in the order they are asked: those with a signature first, then those known by their names. */
const FORMATS: readonly DataFormat[] = [npy, npz, hdf5, parquet, arrow, safetensors, csv, cifar, tokens, idx]

const READ =
  '.npz, .npy, .h5, .parquet, .arrow, .safetensors, .csv, .tsv, idx (MNIST), CIFAR and token .bin files, or a folder of them'

/** Formats that are known but not read, and the line that helps. */
const REFUSED: readonly (readonly [signature: string, message: string])[] = [
  ['FEA1', 'Feather V1; write it anew: pyarrow.feather.write_feather(pyarrow.feather.read_table(old), new)'],
  ['PARE', 'encrypted Parquet; write it without encryption'],
  ['\x80\x02', 'a pickle, which is never run; save the arrays with numpy.savez'],
  ['\x80\x03', 'a pickle, which is never run; save the arrays with numpy.savez'],
  ['\x80\x04', 'a pickle, which is never run; save the arrays with numpy.savez'],
]

export interface OpenOptions {
  /** Whether a `.bin` without a header is to be taken for tokens. */
  readonly tokens?: boolean
}

/**
 * Opens a data file, a folder of files that belong together, or the parts of a data set by what their names share:
 * headers only (a table of text is read once, to know its columns).
 * @throws UsageError when there is nothing at the path, or a folder holds several data sets
 * @throws DataError when the file is corrupt, or of a format that is not read
 */
export async function openArrayFile(
  path: string,
  { tokens: asked = false }: OpenOptions = {},
): Promise<ArrayFile> {
  const stats = await stat(path).catch(() => undefined)
  if (stats === undefined) {
    const parts = await openStem(path)
    if (parts !== undefined) return parts
    throw new UsageError(`${path}: there is no such file or folder`)
  }
  if (stats.isDirectory()) return openFolder(path, asked)
  const head = await withFile(path, DataError, (file) => file.read(0, Math.min(HEAD_BYTES, file.size)))
  if (head.length === 0) throw new DataError(`${path}: empty (0 bytes); formats read: ${READ}`)
  const candidate: Candidate = { path, head, size: stats.size, tokens: asked }
  const format = FORMATS.find(({ match }) => match(candidate))
  if (format !== undefined) return format.open(candidate)
  const known = REFUSED.find(([signature]) => startsWith(head, signature))
  if (known !== undefined) throw new DataError(`${path}: ${known[1]}`)
  throw new DataError(`${path}: its first bytes are of no data format that is read; formats read: ${READ}`)
}

async function openFolder(path: string, asked: boolean): Promise<ArrayFile> {
  const names = await readdir(path)
  const arrays = names.filter((name) => name.endsWith('.npy'))
  if (arrays.length > 0) return openNpyFolder(path, arrays)
  const shards = shardNames(names)
  if (shards.length > 0) return openShards(path, shards)
  const idxNames = names.filter(isIdxName)
  if (idxNames.length > 0) return openIdxFolder(path, idxNames)
  const batches = asked ? [] : names.filter(isCifarName)
  if (batches.length > 0) return openCifarFolder(path, batches)
  throw await unknownFolder(path, names)
}

/** A folder without data: its folders may be data sets (HF's DatasetDict), or it has single files. */
async function unknownFolder(path: string, names: readonly string[]): Promise<Error> {
  const inner: string[] = []
  for (const name of [...names].sort()) {
    const files = await readdir(join(path, name)).catch(() => [])
    if (files.some((file) => /\.(arrow|parquet|npy)$/.test(file))) inner.push(join(path, name))
  }
  if (inner.length > 0)
    return new UsageError(`${path}: a folder of data sets; name one: ${inner.join(' or ')}`)
  return new DataError(
    `${path}: a folder without .npy, .parquet or .arrow files, nor those of MNIST or CIFAR; name a file in it, or another folder`,
  )
}
