import { basename, join } from 'node:path'

import { DataError } from '../../errors.js'
import { npyFile, openNpy } from '../../io/npy.js'
import { withFile } from '../../io/ranged-file.js'
import { listZip, streamZipEntry } from '../../io/zip.js'
import type { ArrayFile, StoredArray } from '../stored-array.js'
import { severalFiles, singleFile, startsWith, type DataFormat } from './format.js'

/** One array as numpy.save writes it. */
export const npy: DataFormat = {
  match: ({ head }) => startsWith(head, '\x93NUMPY'),
  open: async ({ path }) =>
    singleFile(path, [await openNpy(await npyFile(path, basename(path, '.npy'), DataError), DataError)]),
}

/** Arrays by name as numpy.savez and savez_compressed write them: a zip of .npy files. */
export const npz: DataFormat = {
  match: ({ head }) => startsWith(head, 'PK\x03\x04') || startsWith(head, 'PK\x05\x06'),
  open: ({ path }) => openNpz(path),
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
  if (arrays.length > 0) return singleFile(path, arrays)
  throw new DataError(
    `${path}: a zip archive without .npy arrays, so no .npz; save the data with numpy.savez`,
  )
}

/** A folder of .npy files, one array each by the file's name. */
export async function openNpyFolder(folder: string, names: readonly string[]): Promise<ArrayFile> {
  const files = [...names].sort().map((name) => ({ name, path: join(folder, name) }))
  const arrays: StoredArray[] = []
  for (const { name, path } of files)
    arrays.push(await openNpy(await npyFile(path, basename(name, '.npy'), DataError), DataError))
  return severalFiles(folder, files, arrays)
}
