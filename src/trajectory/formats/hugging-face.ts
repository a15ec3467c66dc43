import { createHash } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { z } from 'zod'

import { CheckpointError, reasonOf } from '../../errors.js'
import { listNames } from '../../listing.js'
import { fingerprintFile } from '../../io/hash.js'
import { withFile } from '../../io/ranged-file.js'
import type { TensorInfo } from '../checkpoint.js'
import { countersOf, requireTensor, type Counters, type FolderFormat, type Save } from './format.js'
import { safetensors } from './safetensors.js'

const SINGLE = 'model.safetensors'
const INDEX = 'model.safetensors.index.json'
const TRAINER_STATE = 'trainer_state.json'

/** More than any index or log of a run takes. */
const MAX_JSON_BYTES = 256 * 2 ** 20

/** A shard's name: a file of the folder itself, so that an index can't lead out of it. */
const SHARD_NAME = /^(?!\.)[^/\\:\0]+\.safetensors$/

/** An object as it was parsed, with whatever keys it has. */
const anyObject = z.custom<object>(
  (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
)
const indexSchema = z.object({ weight_map: anyObject })
const trainerStateSchema = z.object({ global_step: z.unknown().optional() })

/**
 * What the Hugging Face Trainer leaves for each save: a folder with `model.safetensors`, or shards and
 * `model.safetensors.index.json`, whose `weight_map` tells the shard of each tensor (transformers, `save_pretrained`).
 * `trainer_state.json` tells the step; optimizer, scheduler and random states beside them are passed over.
 */
export const huggingFace: FolderFormat = {
  name: 'Hugging Face folders of safetensors',
  matchFolder: (names) => names.has(SINGLE) || names.has(INDEX),
  open: async (path) => {
    const names = new Set(await readdir(path))
    if (names.has(SINGLE) && names.has(INDEX)) {
      throw new CheckpointError(
        `${path}: holds both ${SINGLE} and ${INDEX}; move out the one that is left over from an earlier save`,
      )
    }
    const counters = names.has(TRAINER_STATE) ? await trainerCounters(join(path, TRAINER_STATE)) : undefined
    const shards = names.has(SINGLE) ? await openSingle(path) : await openShards(path, names)
    return { saves: [saveOf(path, shards, counters)], close: () => Promise.resolve() }
  },
}

/** The files of a folder that hold its weights, and the shard of each tensor. */
interface Shards {
  readonly files: readonly Save[]
  readonly shardOf: ReadonlyMap<string, Save>
  readonly index?: string
}

function saveOf(path: string, { files, shardOf, index }: Shards, counters: Counters | undefined): Save {
  const tensors = new Map<string, TensorInfo>()
  for (const [name, shard] of shardOf) tensors.set(name, shard.tensors.get(name)!)
  return {
    path,
    fileName: basename(path),
    bytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
    tensors,
    counters: counters ?? files[0]!.counters,
    read: async (name) => requireTensor(shardOf, name, path).read(name),
    fingerprint: async () => {
      const hash = createHash('sha256')
      if (index !== undefined) hash.update(await fingerprintFile(index, CheckpointError))
      for (const file of files) hash.update(`${file.fileName}:${await file.fingerprint()}\n`)
      return hash.digest('hex')
    },
  }
}

async function openSingle(folder: string): Promise<Shards> {
  const file = await openShard(join(folder, SINGLE))
  return { files: [file], shardOf: new Map([...file.tensors.keys()].map((name) => [name, file])) }
}

async function openShards(folder: string, present: ReadonlySet<string>): Promise<Shards> {
  const index = join(folder, INDEX)
  const places = await readIndex(index)
  const names = [...new Set(places.values())].sort()
  const missing = names.filter((name) => !present.has(name))
  if (missing.length > 0) {
    throw new CheckpointError(
      `${folder}: ${missing.length} of the ${names.length} shards that ${INDEX} names are missing: ` +
        `${listNames(missing)}; the save or the copy was cut off`,
    )
  }
  const shards = new Map<string, Save>()
  for (const name of names) shards.set(name, await openShard(join(folder, name)))
  for (const [name, shard] of shards) checkShard(folder, name, shard, places)
  const files = [...shards.values()]
  return { files, shardOf: new Map([...places].map(([tensor, name]) => [tensor, shards.get(name)!])), index }
}

async function openShard(path: string): Promise<Save> {
  const opened = await safetensors.open(path)
  if ('reason' in opened) throw new CheckpointError(`${path}: ${opened.reason}`)
  return opened.saves[0]!
}

/** A shard holds the tensors that the index puts there, and no others: else the two are of different saves. */
function checkShard(folder: string, name: string, shard: Save, places: ReadonlyMap<string, string>): void {
  for (const [tensor, place] of places) {
    if (place === name && !shard.tensors.has(tensor))
      throw new CheckpointError(
        `${join(folder, name)}: tensor ${tensor} is missing, which ${INDEX} places there; copy the folder again`,
      )
  }
  for (const tensor of shard.tensors.keys()) {
    const place = places.get(tensor)
    if (place === name) continue
    throw new CheckpointError(
      place === undefined
        ? `${join(folder, name)}: holds tensor ${tensor}, which ${INDEX} does not name: shards of different saves?`
        : `${join(folder, name)}: holds tensor ${tensor}, which ${INDEX} places in ${place}: shards of different saves?`,
    )
  }
}

/** The shard's name by tensor. */
async function readIndex(path: string): Promise<ReadonlyMap<string, string>> {
  const parsed = indexSchema.safeParse(await readJson(path))
  if (!parsed.success)
    throw new CheckpointError(`${path}: corrupt: it has no 'weight_map' of tensors to files`)
  const places = new Map<string, string>()
  for (const [tensor, shard] of Object.entries(parsed.data.weight_map) as [string, unknown][]) {
    if (typeof shard !== 'string' || !SHARD_NAME.test(shard)) {
      throw new CheckpointError(
        `${path}: tensor ${tensor} is placed in ${JSON.stringify(shard)}, which is no .safetensors file of this folder`,
      )
    }
    places.set(tensor, shard)
  }
  if (places.size === 0) throw new CheckpointError(`${path}: corrupt: its 'weight_map' is empty`)
  return places
}

async function trainerCounters(path: string): Promise<Counters> {
  const state = trainerStateSchema.safeParse(await readJson(path))
  if (!state.success) throw new CheckpointError(`${path}: corrupt: no JSON object`)
  // its epoch is a fraction of the way through the data; the step says more
  return countersOf((name) => (name === 'global_step' ? state.data.global_step : undefined))
}

async function readJson(path: string): Promise<unknown> {
  const bytes = await withFile(path, CheckpointError, (file) => {
    if (file.size > MAX_JSON_BYTES) throw new CheckpointError(`${path}: ${file.size} bytes are too many`)
    return file.read(0, file.size)
  })
  try {
    return JSON.parse(withoutNaN(new TextDecoder('utf-8', { fatal: true }).decode(bytes)))
  } catch (error) {
    throw new CheckpointError(`${path}: corrupt: no JSON: ${reasonOf(error)}`)
  }
}

/** Python writes NaN and Infinity into JSON (a logged gradient norm that overflowed); they count as null. */
function withoutNaN(text: string): string {
  return text.replace(/"(?:[^"\\]|\\.)*"|-?\b(?:NaN|Infinity)\b/g, (token) =>
    token.startsWith('"') ? token : 'null',
  )
}
