import { crc32 } from 'node:zlib'

import { CheckpointError, CheckpointFormatError } from '../../errors.js'
import { withFile, type RangedFile } from '../../io/ranged-file.js'
import { firstZipEntry, listZip, readZipEntry, zipDataRange, type ZipEntry } from '../../io/zip.js'
import { readPickle } from './pickle.js'
import {
  MAX_PICKLE_BYTES,
  otherEndian,
  remedyFor,
  type StoragePlace,
  type TorchContainer,
} from './torch-container.js'

/**
 * torch.save stores its pickle as it is. One that a zip tool packed is read where it is of a usual size: a packed one may
 * be a thousand times as large as the file.
 */
const MAX_PACKED_PICKLE_BYTES = 2 * 2 ** 20

/**
 * A tensor that is a part of its storage is checked too, where no more than this many times its bytes are read for it;
 * many small views of one large storage would each read all of it.
 */
const CHECKED_FACTOR = 4

/** Whether a zip archive begins as torch.save's do. */
export function firstEntryIsPickle(head: Uint8Array): boolean {
  return /^[^/]+\/data\.pkl$/.test(firstZipEntry(head) ?? '')
}

/**
 * What torch.save writes since PyTorch 1.6: a zip archive of `data.pkl` and one stored entry `data/KEY` per storage
 * (torch/serialization.py, `_save`).
 */
export async function openZip(file: RangedFile): Promise<TorchContainer> {
  const { path } = file
  const entries = withoutFalseChecksums(await listZip(file, CheckpointError))
  const prefix = await findArchive(entries, path)
  const entry = entries.get(`${prefix}data.pkl`)!
  const limit = entry.method === 'stored' ? MAX_PICKLE_BYTES : MAX_PACKED_PICKLE_BYTES
  const { value } = readPickle(await readZipEntry(path, entry, limit, CheckpointError), path, remedyFor(path))
  return { root: value, place: (storage, tensor) => placeOf(entries, prefix, path, storage, tensor) }
}

/**
 * `torch.serialization.set_crc32_options(False)` writes a checksum of zero for every entry. Only where all are zero are
 * they taken for not written: one that was damaged to zero stands beside others.
 */
function withoutFalseChecksums(entries: ReadonlyMap<string, ZipEntry>): ReadonlyMap<string, ZipEntry> {
  const filled = [...entries.values()].filter(({ size }) => size > 0)
  if (filled.some((entry) => entry.crc32 !== 0)) return entries
  return new Map([...entries].map(([name, entry]) => [name, { ...entry, crc32: undefined }]))
}

/** The archive's one folder, as a prefix of its entries; its name is whatever the file was once called. */
async function findArchive(entries: ReadonlyMap<string, ZipEntry>, path: string): Promise<string> {
  const pickles = [...entries.keys()].filter((name) => /^[^/]+\/data\.pkl$/.test(name))
  if (pickles.length !== 1) {
    throw new CheckpointFormatError(
      `${path}: a zip archive, but not one that torch.save writes (no data.pkl)`,
    )
  }
  const prefix = pickles[0]!.slice(0, -'data.pkl'.length)
  const byteOrder = entries.get(`${prefix}byteorder`)
  if (byteOrder !== undefined) {
    const order = new TextDecoder().decode(await readZipEntry(path, byteOrder, 64, CheckpointError))
    if (order !== 'little') throw otherEndian(path, order)
  }
  return prefix
}

function placeOf(
  entries: ReadonlyMap<string, ZipEntry>,
  prefix: string,
  path: string,
  storage: { readonly key: string; readonly bytes: number },
  tensor: string,
): StoragePlace {
  const entry = entries.get(`${prefix}data/${storage.key}`)
  if (entry === undefined)
    throw new CheckpointError(`${path}: tensor ${tensor}: its data/${storage.key} is missing`)
  if (entry.size < storage.bytes) {
    throw new CheckpointError(
      `${path}: truncated: tensor ${tensor} needs ${storage.bytes} bytes, but ${entry.name} has ${entry.size}`,
    )
  }
  return { read: (begin, length) => readSpan(path, entry, begin, length) }
}

async function readSpan(
  path: string,
  entry: ZipEntry,
  begin: number,
  length: number,
): Promise<Uint8Array<ArrayBuffer>> {
  if (entry.method === 'deflated') {
    const bytes = await readZipEntry(path, entry, entry.size, CheckpointError)
    return bytes.subarray(begin, begin + length)
  }
  // a checksum covers all of an entry
  const whole = entry.crc32 !== undefined && entry.size <= length * CHECKED_FACTOR
  const [from, count] = whole ? [0, entry.size] : [begin, length]
  const bytes = await withFile(path, CheckpointError, async (file) => {
    const range = await zipDataRange(file, entry, CheckpointError)
    return file.read(range.offset + from, count)
  })
  if (whole && crc32(bytes) !== entry.crc32)
    throw new CheckpointError(`${path}: corrupt: entry '${entry.name}' does not match its checksum`)
  return bytes.subarray(begin - from, begin - from + length)
}
