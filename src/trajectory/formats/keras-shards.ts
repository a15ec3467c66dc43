import { lstat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import * as z from 'zod'

import { CheckpointError } from '../../errors.js'
import { fingerprintFiles } from '../../io/hash.js'
import { Hdf5File } from '../../io/hdf5.js'
import { readJsonFile } from '../../io/json.js'
import type { NotACheckpoint, Save } from './format.js'
import type { KerasObject } from './keras-config.js'
import { KERAS_FILE, openKerasSave, readKerasFiles } from './keras-hdf5.js'

/** The index of a checkpoint that Keras split over HDF5 files (`save_weights` with `max_shard_size`). */
export const KERAS_INDEX = /\.weights\.json$/i

/** Some hundred bytes for each layer. */
const MAX_INDEX_BYTES = 64 * 2 ** 20
const MAX_SHARDS = 100_000

/** A shard's name: a file of the folder itself, so that an index can't lead out of it. */
const SHARD_NAME = /^(?!\.)[^/\\:\0]+\.h5$/

const shardsSchema = z.union([z.string().transform((name) => [name]), z.array(z.string()).min(1)])
const indexSchema = z.object({ weight_map: z.record(z.string(), shardsSchema) })

/** The shards that hold the variables of each group `PATH/vars`, by the group's path without a leading slash. */
type Places = ReadonlyMap<string, readonly string[]>

/**
 * Opens the shards that an index lists (`ShardedH5IOStore` of `keras/src/saving/saving_lib.py`) as one checkpoint.
 * @param model the configuration that a folder may have beside the index
 * @throws CheckpointError when the index or a shard is corrupt, a shard is missing, or the two don't agree
 */
export async function openKerasShards(path: string, model?: KerasObject): Promise<Save | NotACheckpoint> {
  const places = await readIndex(path)
  const names = [...new Set([...places.values()].flat())].sort()
  if (names.length > MAX_SHARDS)
    throw new CheckpointError(`${path}: corrupt: it lists ${names.length} shards`)
  const files: Hdf5File[] = []
  for (const name of names) files.push(await openShard(path, name))
  checkPlaces(path, files, places)
  return openKerasSave({
    path,
    fileName: basename(path),
    bytes: files.reduce((sum, { size }) => sum + size, 0),
    ...(await readKerasFiles(files, model)),
    fingerprint: () => fingerprintFiles([path, ...files.map((file) => file.path)], CheckpointError),
  })
}

async function openShard(index: string, name: string): Promise<Hdf5File> {
  const path = join(dirname(index), name)
  const stats = await lstat(path).catch(() => undefined)
  if (stats === undefined)
    throw new CheckpointError(
      `${path}: missing, though ${basename(index)} lists it; the save or the copy was cut off`,
    )
  if (!stats.isFile()) throw new CheckpointError(`${path}: not a file, though ${basename(index)} lists it`)
  return Hdf5File.open(path, CheckpointError, KERAS_FILE)
}

/** The shards hold what the index says, and nothing else: else they are of different saves. */
function checkPlaces(path: string, files: readonly Hdf5File[], places: Places): void {
  const held = new Set<string>()
  for (const file of files) {
    const shard = basename(file.path)
    for (const { name } of file.datasets) {
      const group = name.slice(0, Math.max(0, name.lastIndexOf('/')))
      if (places.get(group)?.includes(shard) !== true)
        throw new CheckpointError(
          `${file.path}: holds ${name}, which ${basename(path)} does not place there: shards of different saves?`,
        )
      held.add(`${shard}:${group}`)
    }
  }
  for (const [group, shards] of places) {
    if (group.startsWith('optimizer/')) continue
    const lacking = shards.find((shard) => !held.has(`${shard}:${group}`))
    if (lacking !== undefined)
      throw new CheckpointError(
        `${join(dirname(path), lacking)}: holds nothing of ${group}, which ${basename(path)} places there`,
      )
  }
}

async function readIndex(path: string): Promise<Places> {
  const { json } = await readJsonFile(path, MAX_INDEX_BYTES, CheckpointError)
  const parsed = indexSchema.safeParse(json)
  if (!parsed.success)
    throw new CheckpointError(`${path}: corrupt: it has no 'weight_map' of variables to files`)
  const places = Object.entries(parsed.data.weight_map)
  if (places.length === 0) throw new CheckpointError(`${path}: corrupt: its 'weight_map' is empty`)
  const outside = places.flatMap(([, names]) => names).find((name) => !SHARD_NAME.test(name))
  if (outside !== undefined)
    throw new CheckpointError(
      `${path}: lists the shard ${JSON.stringify(outside)}, which is no .h5 file of this folder`,
    )
  return new Map(places.map(([group, names]) => [group.replace(/^\//, ''), names]))
}
