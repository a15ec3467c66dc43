import { basename, join } from 'node:path'

import { CheckpointError } from '../../errors.js'
import { fingerprintFiles } from '../../io/hash.js'
import { requireFloat, type CheckpointFormat, type FolderFormat, type Save } from './format.js'
import { readManifest, type ManifestGroup } from './tfjs-manifest.js'
import { placeGroup, readWeight, type TfjsTensor } from './tfjs-weights.js'

const MODEL = 'model.json'

/** Entries of a model.json that come first in all that TensorFlow.js and its converter write. */
const FIRST_ENTRIES = /^\s*\{\s*"(?:modelTopology|format|weightsManifest)"/

/** A folder for each checkpoint: `model.json` and the files of weights that it names. */
export const tfjsFolder: FolderFormat = {
  name: 'folders of TensorFlow.js models',
  alsoHolds: 'a model of TensorFlow.js in a folder of its own',
  matchFolder: (names) => names.has(MODEL) && [...names].some((name) => /\.bin$|^group\d+-shard/.test(name)),
  open: async (path) => ({
    saves: [await openSave(join(path, MODEL), path)],
  }),
}

/**
 * Files side by side, as a browser downloads them: `step-10.json` and `step-10.weights.bin`. The name must hold a number:
 * a `model.json` by itself is one checkpoint in its own folder.
 */
export const tfjs: CheckpointFormat = {
  name: 'TensorFlow.js',
  match: (head, fileName) =>
    /\d.*\.json$/i.test(fileName) && FIRST_ENTRIES.test(new TextDecoder().decode(head)),
  open: async (path) => ({ saves: [await openSave(path, path)] }),
}

/** @param path what the save is called: the JSON file, or the folder around it */
async function openSave(json: string, path: string): Promise<Save> {
  const { groups, bytes } = await readManifest(json)
  const { tensors, files } = await placeWeights(json, groups)
  return {
    path,
    fileName: basename(path),
    bytes: [...files.values()].reduce((sum, size) => sum + size, bytes),
    tensors,
    counters: new Map(),
    read: async (name) => {
      const tensor = requireFloat(tensors, name, path)
      return { dtype: tensor.dtype, shape: tensor.shape, data: await readWeight(tensor, path) }
    },
    fingerprint: () => fingerprintFiles([json, ...files.keys()], CheckpointError),
  }
}

/** The weights of all groups but the optimizer's, and the files that they are in with their sizes. */
async function placeWeights(
  json: string,
  groups: readonly ManifestGroup[],
): Promise<{ tensors: ReadonlyMap<string, TfjsTensor>; files: ReadonlyMap<string, number> }> {
  const tensors = new Map<string, TfjsTensor>()
  const files = new Map<string, number>()
  const named = new Set<string>()
  for (const group of groups) {
    for (const [i, tensor] of (await placeGroup(json, group, named)).entries()) {
      for (const shard of tensor.shards) files.set(shard.path, shard.size)
      if (group.weights[i]!.group === 'optimizer') continue
      if (tensors.has(tensor.name))
        throw new CheckpointError(`${json}: corrupt: two weights are named ${tensor.name}`)
      tensors.set(tensor.name, tensor)
    }
  }
  return { tensors, files }
}
