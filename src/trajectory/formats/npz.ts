import { basename } from 'node:path'
import { constants, inflateRawSync } from 'node:zlib'

import { CheckpointError, reasonOf } from '../../errors.js'
import { fingerprintFile } from '../../io/hash.js'
import { withFile, type RangedFile } from '../../io/ranged-file.js'
import { firstZipEntry, listZip, streamZipEntry, zipDataRange, type ZipEntry } from '../../io/zip.js'
import { requireFloat, type CheckpointFormat, type Save } from './format.js'
import { describeArray, headIn, readArray, splitCounters, type NumpyTensor } from './numpy-arrays.js'

const NPY = '.npy'

/** Of a packed entry: what unpacks to more than a usual header, and to more than the longest. */
const DEFLATED_HEAD_BYTES = 384
const LONGEST_DEFLATED_HEAD_BYTES = 4096

/**
 * What numpy.savez and savez_compressed write: a zip archive of .npy files, one for each tensor. Its name must hold a
 * number: archives without one are data as often as checkpoints (`train.npz`).
 */
export const npz: CheckpointFormat = {
  name: 'NumPy archives',
  alsoHolds: 'data in a NumPy archive, not a checkpoint',
  match: (head, fileName) =>
    /\d/.test(fileName) && (/\.npz$/i.test(fileName) || firstZipEntry(head)?.endsWith(NPY) === true),
  open: async (path) => {
    const opened = await withFile(path, CheckpointError, openSave)
    return 'reason' in opened ? opened : { saves: [opened] }
  },
}

async function openSave(file: RangedFile): Promise<Save | { reason: string }> {
  const { path } = file
  const all = new Map<string, NumpyTensor>()
  for (const entry of (await listZip(file, CheckpointError)).values()) {
    if (!entry.name.endsWith(NPY)) continue
    const name = entry.name.slice(0, -NPY.length)
    all.set(name, await describeEntry(file, entry, name))
  }
  if (all.size === 0) return { reason: 'a zip archive without .npy arrays' }
  const { tensors, counters } = await splitCounters(all)
  return {
    path,
    fileName: basename(path),
    bytes: file.size,
    tensors,
    counters,
    read: async (name) => readArray(requireFloat(tensors, name, path)),
    fingerprint: () => fingerprintFile(path, CheckpointError),
  }
}

/** An entry's header by range: its values are streamed, and its checksum checked, when the tensor is read. */
function describeEntry(file: RangedFile, entry: ZipEntry, name: string): Promise<NumpyTensor> {
  const { path } = file
  const where = `${path}: ${name}`
  const open = (): AsyncIterable<Uint8Array> => streamZipEntry(path, entry, CheckpointError)
  return describeArray({ name, where, size: entry.size, open }, () => headOf(file, entry))
}

async function* headOf(file: RangedFile, entry: ZipEntry): AsyncGenerator<Uint8Array> {
  const { offset, length } = await zipDataRange(file, entry, CheckpointError)
  if (entry.method === 'deflated') {
    const start = inflateStart(await file.read(offset, Math.min(length, DEFLATED_HEAD_BYTES)), file, entry)
    yield start
    const more = await file.read(offset, Math.min(length, LONGEST_DEFLATED_HEAD_BYTES))
    yield inflateStart(more, file, entry).subarray(start.length)
    return
  }
  yield* headIn(file, offset, length)
}

/** What the first bytes of a deflated entry hold: at most some thousand times as much, whatever they are. */
function inflateStart(bytes: Uint8Array, { path }: RangedFile, { name }: ZipEntry): Uint8Array {
  try {
    return inflateRawSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH })
  } catch (error) {
    throw new CheckpointError(`${path}: corrupt zip archive: entry '${name}': ${reasonOf(error)}`)
  }
}
