import { createHash } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import * as z from 'zod'

import { CheckpointError } from '../../errors.js'
import { listNames } from '../../listing.js'
import { fingerprintFile } from '../../io/hash.js'
import type { TensorInfo } from '../checkpoint.js'
import {
  requireTensor,
  type CheckpointFormat,
  type Counters,
  type FolderFormat,
  type Save,
} from './format.js'
import { pytorch } from './pytorch.js'
import { safetensors } from './safetensors.js'
import { readJson, readTrainerState, TRAINER_STATE } from './trainer-state.js'

/** The names under which `save_pretrained` writes weights, whole or in shards with an index, of one file format. */
interface Names {
  readonly format: CheckpointFormat
  readonly whole: readonly string[]
  /** A shard's name: an entry of the folder itself, so that an index can't lead out of it. */
  readonly shard: RegExp
  readonly extension: string
}

const SAFETENSORS: Names = {
  format: safetensors,
  whole: ['model.safetensors', 'diffusion_pytorch_model.safetensors'],
  shard: /^(?!\.)[^/\\:\0]+\.safetensors$/,
  extension: '.safetensors',
}

const BIN: Names = {
  format: pytorch,
  whole: ['pytorch_model.bin', 'diffusion_pytorch_model.bin'],
  shard: /^(?!\.)[^/\\:\0]+\.bin$/,
  extension: '.bin',
}

/** An object as it was parsed, with whatever keys it has. */
const anyObject = z.custom<object>(
  (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
)
const indexSchema = z.object({ weight_map: anyObject })

/**
 * What the Hugging Face Trainer leaves for each save: a folder with `model.safetensors`, or shards and
 * `model.safetensors.index.json`, whose `weight_map` tells the shard of each tensor (transformers, `save_pretrained`);
 * diffusers puts `diffusion_pytorch_` before. `trainer_state.json` tells the step; optimizer, scheduler and random states
 * beside them are passed over.
 */
export const huggingFace = folderFormat('Hugging Face folders of safetensors', SAFETENSORS)

/** The same as transformers wrote it before version 4.35: `pytorch_model.bin`, or shards and its index. */
export const huggingFaceBin = folderFormat('Hugging Face folders of PyTorch files', BIN)

function folderFormat(name: string, names: Names): FolderFormat {
  return {
    name,
    matchFolder: (present) => weightsFile(present, names) !== undefined,
    open: async (path) => {
      const present = new Set(await readdir(path))
      const file = weightsFile(present, names)!
      const whole = file.replace(/\.index\.json$/, '')
      const index = indexOf(whole)
      if (present.has(whole) && present.has(index)) {
        throw new CheckpointError(
          `${path}: holds both ${whole} and ${index}; move out the one that is left over from an earlier save`,
        )
      }
      const counters = await readTrainerState(join(path, TRAINER_STATE))
      const shards =
        file === whole ? await openWhole(path, whole, names) : await openShards(path, index, present, names)
      return { saves: [saveOf(path, shards, counters)] }
    },
  }
}

/** The file or index that tells the weights, the first of the names that is there. */
function weightsFile(present: ReadonlySet<string>, { whole }: Names): string | undefined {
  return whole.flatMap((name) => [name, indexOf(name)]).find((name) => present.has(name))
}

function indexOf(whole: string): string {
  return `${whole}.index.json`
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

async function openWhole(folder: string, name: string, names: Names): Promise<Shards> {
  const file = await openShard(join(folder, name), names)
  return { files: [file], shardOf: new Map([...file.tensors.keys()].map((tensor) => [tensor, file])) }
}

async function openShards(
  folder: string,
  indexName: string,
  present: ReadonlySet<string>,
  names: Names,
): Promise<Shards> {
  const index = join(folder, indexName)
  const places = await readIndex(index, names)
  const shardNames = [...new Set(places.values())].sort()
  const missing = shardNames.filter((name) => !present.has(name))
  if (missing.length > 0) {
    throw new CheckpointError(
      `${folder}: ${missing.length} of the ${shardNames.length} shards that ${indexName} names are missing: ` +
        `${listNames(missing)}; the save or the copy was cut off`,
    )
  }
  const shards = new Map<string, Save>()
  for (const name of shardNames) shards.set(name, await openShard(join(folder, name), names))
  for (const [name, shard] of shards) checkShard(join(folder, name), indexName, shard, places)
  const files = [...shards.values()]
  return { files, shardOf: new Map([...places].map(([tensor, name]) => [tensor, shards.get(name)!])), index }
}

async function openShard(path: string, { format }: Names): Promise<Save> {
  const opened = await format.open(path)
  if ('reason' in opened) throw new CheckpointError(`${path}: ${opened.reason}`)
  return opened.saves[0]!
}

/** A shard holds the tensors that the index puts there, and no others: else the two are of different saves. */
function checkShard(path: string, index: string, shard: Save, places: ReadonlyMap<string, string>): void {
  const name = basename(path)
  for (const [tensor, place] of places) {
    if (place === name && !shard.tensors.has(tensor))
      throw new CheckpointError(
        `${path}: tensor ${tensor} is missing, which ${index} places there; copy the folder again`,
      )
  }
  for (const tensor of shard.tensors.keys()) {
    const place = places.get(tensor)
    if (place === name) continue
    throw new CheckpointError(
      place === undefined
        ? `${path}: holds tensor ${tensor}, which ${index} does not name: shards of different saves?`
        : `${path}: holds tensor ${tensor}, which ${index} places in ${place}: shards of different saves?`,
    )
  }
}

/** The shard's name by tensor. */
async function readIndex(path: string, { shard, extension }: Names): Promise<ReadonlyMap<string, string>> {
  const parsed = indexSchema.safeParse(await readJson(path))
  if (!parsed.success)
    throw new CheckpointError(`${path}: corrupt: it has no 'weight_map' of tensors to files`)
  const places = new Map<string, string>()
  for (const [tensor, place] of Object.entries(parsed.data.weight_map) as [string, unknown][]) {
    if (typeof place !== 'string' || !shard.test(place)) {
      throw new CheckpointError(
        `${path}: tensor ${tensor} is placed in ${JSON.stringify(place)}, which is no ${extension} file of this folder`,
      )
    }
    places.set(tensor, place)
  }
  if (places.size === 0) throw new CheckpointError(`${path}: corrupt: its 'weight_map' is empty`)
  return places
}
