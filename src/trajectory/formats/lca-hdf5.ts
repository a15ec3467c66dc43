import { basename } from 'node:path'

import { CheckpointError, CheckpointFormatError } from '../../errors.js'
import { decodeFloats } from '../../io/decode.js'
import { fingerprintFile } from '../../io/hash.js'
import type { Hdf5Dataset, Hdf5File } from '../../io/hdf5.js'
import { BYTES_PER_ELEMENT, elementCount, formatShape } from '../../tensor.js'
import { requireFloat, requireTensor, type FloatTensorInfo, type Save } from './format.js'

const WEIGHTS = 'all_weights'

/** A tensor and its place in a row of `all_weights`: elements [begin, begin + product of shape). */
interface PlacedTensor extends FloatTensorInfo {
  readonly begin: number
}

/** The text attributes of the root that are needed. */
export const LCA_ATTRIBUTES = /^var_(?:names|shapes)$/

/** Whether an HDF5 file is a recording of the LCA paper's code. */
export function isLcaRecording(file: Hdf5File): boolean {
  return file.datasets.some(({ name }) => name === WEIGHTS)
}

/**
 * The recording of the LCA paper's code (https://github.com/uber-research/loss-change-allocation): one HDF5 file of
 * all saves, dataset `all_weights` [saves, parameters], whose columns the root attributes `var_names` and
 * `var_shapes` (both separated by `;`) divide into tensors.
 * @throws CheckpointFormatError when `all_weights` is no matrix of floats
 * @throws CheckpointError when names, shapes and columns don't add up
 */
export function openLcaRecording(file: Hdf5File): Save[] {
  const weights = requireTensor(new Map(file.datasets.map((one) => [one.name, one])), WEIGHTS, file.path)
  const dtype = weights.dtype
  if (weights.shape.length !== 2 || (dtype !== 'float64' && dtype !== 'float32')) {
    throw new CheckpointFormatError(
      `${file.path}: '${WEIGHTS}' is ${dtype ?? 'no numbers'} ${formatShape(weights.shape)}, not floats [saves, parameters]`,
    )
  }
  const fault = file.faultOf(weights)
  if (fault !== undefined) throw new CheckpointError(`${file.path}: dataset '${WEIGHTS}' ${fault}`)
  const tensors = placeTensors(file, weights.shape[1]!, dtype)
  return Array.from({ length: weights.shape[0]! }, (_, row) => openSave(file, weights, tensors, row))
}

function openSave(
  file: Hdf5File,
  weights: Hdf5Dataset,
  tensors: ReadonlyMap<string, PlacedTensor>,
  row: number,
): Save {
  const path = `${file.path} save ${row}`
  return {
    path,
    fileName: basename(file.path),
    bytes: weights.shape[1]! * BYTES_PER_ELEMENT[weights.dtype!],
    tensors,
    counters: new Map(),
    read: async (name) => {
      const { begin, shape, dtype } = requireFloat(tensors, name, path)
      const bytes = await file.read(weights, [row, begin], [1, elementCount(shape)])
      return { dtype, shape, data: decodeFloats(bytes, dtype) }
    },
    fingerprint: () => fingerprintFile(file.path, CheckpointError, `save ${row}`),
  }
}

function placeTensors(
  file: Hdf5File,
  parameters: number,
  dtype: 'float64' | 'float32',
): ReadonlyMap<string, PlacedTensor> {
  const names = splitAttribute(file, 'var_names')
  const shapes = splitAttribute(file, 'var_shapes').map((text) => parseShape(text, file.path))
  if (names.length !== shapes.length) {
    throw new CheckpointError(
      `${file.path}: ${names.length} names in var_names, but ${shapes.length} in var_shapes`,
    )
  }
  const tensors = new Map<string, PlacedTensor>()
  let begin = 0
  for (const [i, name] of names.entries()) {
    if (tensors.has(name)) throw new CheckpointError(`${file.path}: var_names holds ${name} twice`)
    const shape = shapes[i]!
    tensors.set(name, { name, shape, dtype, begin })
    begin += elementCount(shape)
  }
  if (begin !== parameters || parameters === 0) {
    throw new CheckpointError(
      `${file.path}: var_shapes add up to ${begin} parameters, but '${WEIGHTS}' has ${parameters} columns`,
    )
  }
  return tensors
}

function splitAttribute(file: Hdf5File, name: string): string[] {
  const text = file.textAttribute(name)
  if (text === undefined) throw new CheckpointError(`${file.path}: the root attribute '${name}' is missing`)
  return text.split(';').filter((part) => part !== '')
}

/** Reads a shape as Python prints it: `(784, 100)`, `(10,)`, `()`. */
function parseShape(text: string, path: string): number[] {
  const inside = /^\s*\(((?:\s*\d{1,15}\s*,)*\s*\d{0,15}\s*)\)\s*$/.exec(text)?.[1]
  if (inside === undefined)
    throw new CheckpointError(`${path}: var_shapes holds '${text}', which is no shape`)
  return inside
    .split(',')
    .filter((part) => part.trim() !== '')
    .map(Number)
}
