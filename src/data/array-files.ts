import { createHash } from 'node:crypto'
import { readdir, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'

import { DataError, UsageError } from '../errors.js'
import { decodeArray } from '../io/decode.js'
import { sha256File } from '../io/hash.js'
import { Hdf5File, looksLikeHdf5, type Hdf5Dataset } from '../io/hdf5.js'
import { npyFile, openNpy } from '../io/npy.js'
import { withFile } from '../io/ranged-file.js'
import { listZip, streamZipEntry } from '../io/zip.js'
import { BYTES_PER_ELEMENT, elementCount, type DType, type TypedArray } from '../tensor.js'
import type { ArrayFile, StoredArray } from './stored-array.js'

/** HDF5 values are copied out of the library's memory in blocks of about this size. */
const HDF5_BLOCK_BYTES = 16 * 2 ** 20

/**
 * Opens a data file (.npz, .npy, .h5 or .hdf5) or a folder of .npy files: headers only.
 * @throws UsageError when there is nothing at the path
 * @throws DataError when the file is corrupt, or of a format that is not read
 */
export async function openArrayFile(path: string): Promise<ArrayFile> {
  const stats = await stat(path).catch(() => undefined)
  if (stats === undefined) throw new UsageError(`${path}: there is no such file or folder`)
  if (stats.isDirectory()) return openFolder(path)
  const head = await withFile(path, DataError, (file) => file.read(0, Math.min(8, file.size)))
  if (looksLikeHdf5(head)) return openHdf5(path)
  if (startsWith(head, 'PK\x03\x04') || startsWith(head, 'PK\x05\x06')) return openNpz(path)
  if (startsWith(head, '\x93NUMPY')) return openSingleNpy(path)
  const fault = head.length === 0 ? 'empty (0 bytes)' : 'its first bytes are of no data format that is read'
  throw new DataError(`${path}: ${fault}; formats read: .npz, .npy, .h5, or a folder of .npy files`)
}

function startsWith(head: Uint8Array, signature: string): boolean {
  return Buffer.from(head).subarray(0, signature.length).equals(Buffer.from(signature, 'latin1'))
}

function onDisk(
  path: string,
  arrays: readonly StoredArray[],
  close: () => void = () => undefined,
): ArrayFile {
  return { path, arrays, sha256: () => sha256File(path, DataError), close }
}

async function openSingleNpy(path: string): Promise<ArrayFile> {
  return onDisk(path, [await openNpy(await npyFile(path, basename(path, '.npy'), DataError), DataError)])
}

async function openNpz(path: string): Promise<ArrayFile> {
  const entries = await withFile(path, DataError, (file) => listZip(file, DataError))
  const arrays: StoredArray[] = []
  for (const entry of entries.values()) {
    if (!entry.name.endsWith('.npy')) continue
    const name = entry.name.slice(0, -'.npy'.length)
    const open = (): AsyncIterable<Uint8Array> => streamZipEntry(path, entry, DataError)
    arrays.push(await openNpy({ name, where: `${path}: ${name}`, size: entry.size, open }, DataError))
  }
  if (arrays.length === 0)
    throw new DataError(
      `${path}: a zip archive without .npy arrays, so no .npz; save the data with numpy.savez`,
    )
  return onDisk(path, arrays)
}

async function openFolder(path: string): Promise<ArrayFile> {
  const names = (await readdir(path)).filter((name) => name.endsWith('.npy')).sort()
  if (names.length === 0) throw new DataError(`${path}: a folder without .npy files`)
  const arrays: StoredArray[] = []
  for (const name of names)
    arrays.push(await openNpy(await npyFile(join(path, name), basename(name, '.npy'), DataError), DataError))
  const sha256 = async (): Promise<string> => {
    const hash = createHash('sha256')
    for (const name of names) hash.update(`${name} ${await sha256File(join(path, name), DataError)}\n`)
    return hash.digest('hex')
  }
  return { path, arrays, sha256, close: () => undefined }
}

async function openHdf5(path: string): Promise<ArrayFile> {
  const file = await Hdf5File.open(path, DataError)
  return onDisk(
    path,
    file.datasets.map((dataset) => hdf5Array(file, dataset)),
  )
}

function hdf5Array(file: Hdf5File, dataset: Hdf5Dataset): StoredArray {
  const { name, shape, dtype } = dataset
  if (dtype === undefined) return { name, shape, type: 'no numbers', refusal: 'does not hold numbers' }
  const fault = file.faultOf(dataset)
  if (fault !== undefined) return { name, shape, type: dtype, refusal: fault }
  const blocks = (): AsyncIterable<TypedArray> => hdf5Blocks(file, dataset, dtype)
  return { name, where: `${file.path}: ${name}`, shape, dtype, order: 'row-major', blocks }
}

async function* hdf5Blocks(file: Hdf5File, dataset: Hdf5Dataset, dtype: DType): AsyncGenerator<TypedArray> {
  const [rows = 0, ...rest] = dataset.shape
  const rowBytes = Math.max(1, elementCount(rest) * BYTES_PER_ELEMENT[dtype])
  const step = Math.max(1, Math.floor(HDF5_BLOCK_BYTES / rowBytes))
  for (let row = 0; row < rows; row += step) {
    const count = [Math.min(step, rows - row), ...rest]
    yield decodeArray(await file.read(dataset, [row, ...rest.map(() => 0)], count), dtype)
  }
}
