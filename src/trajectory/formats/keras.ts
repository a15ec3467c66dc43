import { readdir } from 'node:fs/promises'
import { basename, join } from 'node:path'

import { CheckpointError, CheckpointFormatError } from '../../errors.js'
import { Hdf5File, type Hdf5Source } from '../../io/hdf5.js'
import { parseJson } from '../../io/json.js'
import { withFile, type RangedFile } from '../../io/ranged-file.js'
import {
  firstZipEntry,
  listZip,
  readZipEntry,
  streamZipEntry,
  zipDataRange,
  type ZipEntry,
} from '../../io/zip.js'
import {
  oneSave,
  type CheckpointFormat,
  type FolderFormat,
  type NotACheckpoint,
  type Save,
} from './format.js'
import { kerasObject, type KerasObject } from './keras-config.js'
import { KERAS_FILE, openKerasFile, openKerasSave, readKerasFiles } from './keras-hdf5.js'
import { openKerasShards } from './keras-shards.js'

const WEIGHTS = 'model.weights.h5'
const INDEX = 'model.weights.json'
const CONFIG = 'config.json'

/** The configurations of the largest models have some megabytes. */
const MAX_CONFIG_BYTES = 64 * 2 ** 20
/** Memory beyond the file's own size that weights may take that someone packed again. */
const MAX_UNPACKED_BYTES = 128 * 2 ** 20

/**
 * What `model.save` of Keras 3 writes: a zip archive of `metadata.json`, `config.json` (which names the layers and
 * their classes) and `model.weights.h5`, stored without compression, of which ranges are read in place.
 */
export const keras: CheckpointFormat = {
  name: 'Keras',
  match: (head, fileName) => {
    const first = firstZipEntry(head)
    return first !== undefined && (/\.keras$/i.test(fileName) || first === 'metadata.json')
  },
  open: async (path) => oneSave(await withFile(path, CheckpointError, openArchive)),
}

async function openArchive(archive: RangedFile): Promise<Save | NotACheckpoint> {
  const { path } = archive
  const entries = await listZip(archive, CheckpointError)
  const weights = entries.get(WEIGHTS)
  if (weights === undefined) return withoutWeights(path, entries)
  const model = await readConfig(path, entries.get(CONFIG))
  const file = await Hdf5File.openSource(
    `${path}: ${WEIGHTS}`,
    weights.size,
    await sourceOf(archive, weights),
    CheckpointError,
    KERAS_FILE,
  )
  return openKerasSave({
    path,
    fileName: basename(path),
    bytes: archive.size,
    ...(await readKerasFiles([file], model)),
    check: () => checkEntry(path, weights),
  })
}

/** The weights where they lie in the archive; packed ones are unpacked, once for as long as the save is in use. */
async function sourceOf(archive: RangedFile, entry: ZipEntry): Promise<() => Promise<Hdf5Source>> {
  const { path, size } = archive
  if (entry.method === 'stored') {
    const { offset, length } = await zipDataRange(archive, entry, CheckpointError)
    return () => Promise.resolve({ path, offset, length })
  }
  let unpacked: WeakRef<Uint8Array<ArrayBuffer>> | undefined
  return async () => {
    let bytes = unpacked?.deref()
    if (bytes === undefined) {
      bytes = await readZipEntry(path, entry, size + MAX_UNPACKED_BYTES, CheckpointError)
      unpacked = new WeakRef(bytes)
    }
    return { bytes }
  }
}

/** Reads the whole entry for its checksum. What is packed has been checked when it was unpacked. */
async function checkEntry(path: string, entry: ZipEntry): Promise<void> {
  if (entry.method === 'deflated') return
  const pieces = streamZipEntry(path, entry, CheckpointError)
  while ((await pieces.next()).done !== true);
}

async function readConfig(path: string, entry: ZipEntry | undefined): Promise<KerasObject | undefined> {
  if (entry === undefined) throw new CheckpointError(`${path}: corrupt: a .keras file without ${CONFIG}`)
  return parseConfig(path, await readZipEntry(path, entry, MAX_CONFIG_BYTES, CheckpointError))
}

function parseConfig(path: string, bytes: Uint8Array): KerasObject | undefined {
  return kerasObject(parseJson(bytes, `${path}: corrupt: ${CONFIG}`, CheckpointError))
}

function withoutWeights(path: string, entries: ReadonlyMap<string, ZipEntry>): NotACheckpoint {
  if (entries.has('model.weights.npz'))
    throw new CheckpointFormatError(
      `${path}: its weights are a model.weights.npz, which is not read; save it with model.save("${basename(path)}")`,
    )
  return { reason: `a zip archive without ${WEIGHTS}` }
}

/** The same in a folder, as Keras saves to hubs and to remote places: weights in one HDF5 file, or in shards. */
export const kerasFolder: FolderFormat = {
  name: 'Keras folders',
  matchFolder: (names) => names.has(CONFIG) && (names.has(WEIGHTS) || names.has(INDEX)),
  open: async (path) => {
    const names = new Set(await readdir(path))
    const model = await withFile(join(path, CONFIG), CheckpointError, async (file) =>
      parseConfig(path, await file.read(0, Math.min(file.size, MAX_CONFIG_BYTES))),
    )
    const save = await (names.has(INDEX)
      ? openKerasShards(join(path, INDEX), model)
      : openKerasFile(await Hdf5File.open(join(path, WEIGHTS), CheckpointError, KERAS_FILE), model))
    return oneSave('reason' in save ? save : { ...save, path, fileName: basename(path) })
  },
}
