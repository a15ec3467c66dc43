import { basename } from 'node:path'

import { CheckpointError } from '../../errors.js'
import { decodeArray, decodeFloats } from '../../io/decode.js'
import { fingerprintFile } from '../../io/hash.js'
import type { Hdf5Dataset, Hdf5File, Hdf5Group } from '../../io/hdf5.js'
import type { TensorInfo } from '../checkpoint.js'
import { requireFloat, type Counters, type NotACheckpoint, type Save } from './format.js'
import type { KerasObject } from './keras-config.js'
import { legacyIterations, legacyRoot, legacyWeights } from './keras-legacy.js'
import { hasKerasVariables, kerasVariables, type KerasVariables } from './keras-variables.js'

/**
 * What is looked at of a file: the attributes that tell names, and of the optimizer's state, which is twice as large as
 * the weights, only what may be the count of its updates.
 */
export const KERAS_FILE = {
  nested: true,
  attributes: /^(?:name|layer_names\d*|weight_names\d*)$/,
  skip: /^(?:optimizer\/(?!(?:inner_optimizer\/)?vars(?:\/0)?$|inner_optimizer$)|optimizer_weights\/(?!(?:training\/)?[^/]+$|.*iter(?:ations?)?(?::0)?$))/,
} as const

/** Whether an HDF5 file is one of Keras, of either format. */
export function isKerasFile(file: Hdf5File): boolean {
  return legacyRoot(file) !== undefined || hasKerasVariables(file)
}

/** A weight and the file that holds it. */
export interface StoredWeight {
  readonly file: Hdf5File
  readonly dataset: Hdf5Dataset
}

/** What a save of Keras is made of. */
export interface KerasSave {
  readonly path: string
  readonly fileName: string
  readonly bytes: number
  readonly weights: ReadonlyMap<string, StoredWeight>
  readonly counters: Counters
  /** Checks what was not checked when the headers were read, before the first value is. */
  readonly check?: () => Promise<void>
  readonly fingerprint?: () => Promise<string>
}

/**
 * The weights of one HDF5 file of Keras, or of the shards of one checkpoint, and how often the optimizer updated them.
 * @param model the configuration that a `.keras` file has beside the weights
 * @throws CheckpointError when a file is corrupt, or two hold the same variable
 */
export async function readKerasFiles(
  files: readonly Hdf5File[],
  model?: KerasObject,
): Promise<Pick<KerasSave, 'weights' | 'counters'>> {
  const fileOf = new Map(files.flatMap((file) => file.datasets.map((dataset) => [dataset, file] as const)))
  const { weights, iterations } = variablesOf(files, model)
  return {
    weights: new Map([...weights].map(([name, dataset]) => [name, { file: fileOf.get(dataset)!, dataset }])),
    counters: iterations === undefined ? new Map() : await readCounter(fileOf.get(iterations)!, iterations),
  }
}

function variablesOf(files: readonly Hdf5File[], model: KerasObject | undefined): KerasVariables {
  const [file] = files
  const root = files.length === 1 ? legacyRoot(file!) : undefined
  if (root !== undefined) return { weights: legacyWeights(file!, root), iterations: legacyIterations(file!) }
  const groups = new Map<string, Hdf5Group>()
  for (const { groups: more } of files)
    for (const [path, group] of more) if (groups.get(path)?.attributes.size !== 1) groups.set(path, group)
  rejectRepeats(files)
  return kerasVariables(
    files.flatMap(({ datasets }) => datasets),
    groups,
    model,
  )
}

function rejectRepeats(files: readonly Hdf5File[]): void {
  const places = new Map<string, Hdf5File>()
  for (const file of files) {
    for (const { name } of file.datasets) {
      const other = places.get(name)
      if (other !== undefined)
        throw new CheckpointError(
          `${file.path}: holds ${name}, as ${other.path} does: shards of different saves?`,
        )
      places.set(name, file)
    }
  }
}

/**
 * One HDF5 file of Keras as a save.
 * @param model the configuration that a folder may have beside it
 */
export async function openKerasFile(file: Hdf5File, model?: KerasObject): Promise<Save | NotACheckpoint> {
  const { path, size: bytes } = file
  return openKerasSave({ path, fileName: basename(path), bytes, ...(await readKerasFiles([file], model)) })
}

/**
 * A save, or why there is none.
 * @throws CheckpointError when a weight is larger than its file can hold
 */
export function openKerasSave(save: KerasSave): Save | NotACheckpoint {
  const { path, fileName, bytes, weights, counters } = save
  if (weights.size === 0) return { reason: 'a Keras file without weights' }
  const tensors = new Map([...weights].map(([name, weight]) => [name, infoOf(name, weight)]))
  let checked: Promise<void> | undefined
  return {
    path,
    fileName,
    // Keras calls its callbacks at the end of an epoch, and so do the numbers in the names count epochs
    nameUnit: 'epoch',
    bytes,
    tensors,
    counters,
    read: async (name) => {
      const { dtype, shape } = requireFloat(tensors, name, path)
      await (checked ??= save.check?.())
      const { file, dataset } = weights.get(name)!
      return { dtype, shape, data: decodeFloats(await file.read(dataset), dtype) }
    },
    fingerprint: save.fingerprint ?? (() => fingerprintFile(path, CheckpointError)),
  }
}

async function readCounter(file: Hdf5File, dataset: Hdf5Dataset): Promise<Counters> {
  const value = Number(decodeArray(await file.read(dataset), dataset.dtype!)[0])
  return Number.isSafeInteger(value) && value >= 0 ? new Map([['step', value]]) : new Map()
}

function infoOf(name: string, { file, dataset }: StoredWeight): TensorInfo {
  const { shape, dtype, type } = dataset
  const fault = file.faultOf(dataset)
  if (fault !== undefined) throw new CheckpointError(`${file.path}: weight ${name} ${fault}`)
  // Keras marks the opaque bytes of bfloat16 in one format and not in the other
  return dtype === undefined
    ? { name, shape, dtype: type === 'opaque (2 bytes)' ? 'float16' : 'uint8', unsupported: type }
    : { name, shape, dtype }
}
