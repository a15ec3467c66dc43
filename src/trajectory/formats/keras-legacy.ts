import { CheckpointError } from '../../errors.js'
import type { Hdf5Dataset, Hdf5File } from '../../io/hdf5.js'
import { joinPath } from '../../io/join-path.js'

/** Where a whole model keeps its weights; in a file of weights alone they are at the root. */
const MODEL_WEIGHTS = 'model_weights'
/** Weights of the model itself, which belong to no layer. */
const TOP_LEVEL = 'top_level_model_weights'

/** The random state of a Dropout, which Keras 3 lists among the weights. */
const SEED_STATE = /(?:^|\/)seed_generator_state(?:_\d+)?(?::0)?$/

/** The number of updates in the optimizer's own words: `iteration:0`, `Adam/iter:0`, `sgd_5/iteration`. */
const ITERATIONS = /(?:^|\/)(?:iter|iterations?)(?::0)?$/

/** The group under which Keras' older HDF5 format keeps the weights, or undefined where the file is not of it. */
export function legacyRoot(file: Hdf5File): string | undefined {
  if (textList(file, MODEL_WEIGHTS, 'layer_names') !== undefined) return MODEL_WEIGHTS
  return textList(file, '', 'layer_names') === undefined ? undefined : ''
}

/**
 * The weights of Keras' older HDF5 format (`save_weights_to_hdf5_group`): the attribute `layer_names` of the root lists
 * groups, whose attribute `weight_names` lists datasets. Weights go by the names in these lists (`conv1/kernel:0`), with
 * the layer's in front where two layers use one name.
 * @throws CheckpointError when a dataset is missing, or is in no list
 */
export function legacyWeights(file: Hdf5File, root: string): ReadonlyMap<string, Hdf5Dataset> {
  const datasets = new Map(file.datasets.map((dataset) => [dataset.name, dataset]))
  const listed = listWeights(file, root)
  const counts = new Map<string, number>()
  for (const { name } of listed) counts.set(name, (counts.get(name) ?? 0) + 1)
  const weights = new Map<string, Hdf5Dataset>()
  const known = new Set<string>()
  for (const { layer, name, path } of listed) {
    const dataset = datasets.get(path)
    if (dataset === undefined)
      throw new CheckpointError(
        `${file.path}: corrupt: weight ${name} of layer ${layer} has no dataset ${path}`,
      )
    known.add(path)
    if (!SEED_STATE.test(name)) weights.set(counts.get(name) === 1 ? name : `${layer}/${name}`, dataset)
  }
  rejectUnlisted(file, root, known)
  return weights
}

/** The dataset that counts the optimizer's updates. */
export function legacyIterations(file: Hdf5File): Hdf5Dataset | undefined {
  return file.datasets.find(
    ({ name, shape, dtype }) =>
      name.startsWith('optimizer_weights/') &&
      ITERATIONS.test(name) &&
      shape.length === 0 &&
      (dtype === 'int64' || dtype === 'int32'),
  )
}

function listWeights(file: Hdf5File, root: string): { layer: string; name: string; path: string }[] {
  const layers = [...(textList(file, root, 'layer_names') ?? [])]
  if (file.groups.has(joinPath(root, TOP_LEVEL)) && !layers.includes(TOP_LEVEL)) layers.push(TOP_LEVEL)
  return layers.flatMap((layer) => {
    const group = joinPath(root, layer)
    if (!file.groups.has(group))
      throw new CheckpointError(`${file.path}: corrupt: layer_names lists ${layer}, which has no group`)
    const names = textList(file, group, 'weight_names') ?? []
    return names.map((name) => ({ layer, name, path: joinPath(group, name) }))
  })
}

/** What the lists leave out would silently be missing from the trajectory. */
function rejectUnlisted(file: Hdf5File, root: string, known: ReadonlySet<string>): void {
  const other = file.datasets.find(
    ({ name }) =>
      (root === '' || name.startsWith(`${root}/`)) &&
      !name.startsWith('optimizer_weights/') &&
      !known.has(name),
  )
  if (other === undefined) return
  throw new CheckpointError(
    `${file.path}: dataset ${other.name} is in no list of weights (weight_names): corrupt, or not written by Keras`,
  )
}

/** A list of names; long ones are split over numbered attributes, since HDF5 holds no attribute above 64 KiB. */
function textList(file: Hdf5File, group: string, name: string): readonly string[] | undefined {
  const attributes = file.groups.get(group)?.attributes
  if (attributes?.has(name) === true) return attributes.get(name)
  if (attributes?.has(`${name}0`) !== true) return undefined
  const parts: string[] = []
  for (let i = 0; attributes.has(`${name}${i}`); i += 1) parts.push(...attributes.get(`${name}${i}`)!)
  return parts
}
