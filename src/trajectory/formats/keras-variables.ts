import type { Hdf5Dataset, Hdf5File } from '../../io/hdf5.js'
import type { KerasObject } from './keras-config.js'
import { nameVariables, type KerasGroups, type OwnVariables } from './keras-names.js'

/** A variable's place: `PATH/vars/KEY`, at the root `vars/KEY`. Keras on Windows has written backslashes. */
const VARIABLE = /^(?:(.*)[/\\])?vars[/\\]([^/\\]+)$/

/** Groups at the root that hold no weights: the optimizer's state, and running sums of metrics (Keras 2). */
const NO_WEIGHTS = /^(?:optimizer|metrics|loss)(?:\/|$)/
/** States of random generators: Dropout and the like. */
const SEED_GENERATOR = /(?:^|\/)_?seed_generator(?:_\d+)?(?:\/|$)/
/** Optimizers that a model of one's own may keep in its attributes, by the names that Keras gives them. */
const OPTIMIZER =
  /^(?:sgd|adam|adamw|adamax|nadam|adagrad|adadelta|adafactor|rmsprop|ftrl|lion|lamb|muon|schedule_free_adam\w*|loss_scale_optimizer)(?:_\d+)?$/

/** What a Keras 3 file holds. */
export interface KerasVariables {
  readonly weights: ReadonlyMap<string, Hdf5Dataset>
  /** The dataset that counts the optimizer's updates. */
  readonly iterations: Hdf5Dataset | undefined
}

/** Whether the file numbers variables as Keras 3 does (and Keras 2.12 and later in `.keras` and `.weights.h5`). */
export function hasKerasVariables(file: Hdf5File): boolean {
  return file.datasets.some(({ name }) => VARIABLE.test(name))
}

/**
 * The weights of Keras' HDF5 format (`keras/src/saving/saving_lib.py`): every object's variables are numbered in a group
 * `vars` within its own. They are named by what the file and the model's configuration tell (`nameVariables`).
 * @param datasets of one file, or of all shards
 */
export function kerasVariables(
  datasets: readonly Hdf5Dataset[],
  groups: Hdf5File['groups'],
  model: KerasObject | undefined,
): KerasVariables {
  const owners = ownersOf(datasets)
  const byPath = new Map(owners.map((owner) => [owner.path, owner]))
  const names: KerasGroups = {
    nameOf: (path) => groups.get(`${path}/vars`)?.attributes.get('name')?.[0],
    isObject: (path) => byPath.has(path) || groups.has(`${path}/vars`),
  }
  const optimizers = owners.filter((owner) => isOptimizer(owner, names.nameOf(owner.path)))
  const weights = owners.filter(
    ({ path }) =>
      !NO_WEIGHTS.test(path) &&
      !SEED_GENERATOR.test(path) &&
      !optimizers.some((optimizer) => path === optimizer.path || path.startsWith(`${optimizer.path}/`)),
  )
  const iterations = byPath.get('optimizer/inner_optimizer') ?? byPath.get('optimizer')
  return {
    weights: nameVariables(weights, names, model),
    iterations: iterations === undefined ? undefined : counterOf(iterations),
  }
}

function ownersOf(datasets: readonly Hdf5Dataset[]): OwnVariables[] {
  const owners = new Map<string, { key: string; dataset: Hdf5Dataset }[]>()
  for (const dataset of datasets) {
    const place = VARIABLE.exec(dataset.name)
    if (place === null) continue
    const path = (place[1] ?? '').replaceAll('\\', '/')
    const variables = owners.get(path) ?? []
    variables.push({ key: place[2]!, dataset })
    owners.set(path, variables)
  }
  return [...owners].map(([path, variables]) => ({
    path,
    variables: variables.sort((a, b) => Number(a.key) - Number(b.key)),
  }))
}

/** An optimizer counts its updates in its first variable. */
function isOptimizer(owner: OwnVariables, name: string | undefined): boolean {
  if (counterOf(owner) === undefined) return false
  return /optimizer/.test(owner.path.split('/').at(-1)!) || (name !== undefined && OPTIMIZER.test(name))
}

function counterOf({ variables: [first] }: OwnVariables): Hdf5Dataset | undefined {
  const isCounter =
    first?.key === '0' &&
    first.dataset.shape.length === 0 &&
    (first.dataset.dtype === 'int64' || first.dataset.dtype === 'int32')
  return isCounter ? first.dataset : undefined
}
