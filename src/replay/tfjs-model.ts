import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { NetworkFile } from '../engines/tfjs/model.js'
import { BindingError, UnsupportedModelError, UsageError } from '../errors.js'
import { isFloat } from '../tensor.js'
import type { DType } from '../tensor.js'
import { bind } from '../trajectory/bind.js'
import type { Binding } from '../trajectory/bind.js'
import type { Trajectory } from '../trajectory/checkpoint.js'
import { readTfjsModel } from '../trajectory/formats/tfjs-manifest.js'
import { readMap } from '../trajectory/map-file.js'

/**
 * The model.json of the last checkpoint.
 * @throws UsageError where the checkpoints hold weights alone
 */
export async function modelAmong({ path, checkpoints }: Trajectory): Promise<string> {
  const last = checkpoints.at(-1)!.path
  for (const candidate of [last, join(last, 'model.json')])
    if (/\.json$/i.test(candidate) && (await isFile(candidate))) return candidate
  throw new UsageError(
    `${path}: the checkpoints are no models of TensorFlow.js: name the network's model.json with --model`,
  )
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (one) => one.isFile(),
    () => false,
  )
}

/**
 * The layers and the weights that a model.json declares.
 * @throws CheckpointError where it is no model.json, or corrupt
 * @throws UnsupportedModelError for a graph model, and for weights that are no real numbers
 */
export async function readNetworkFile(path: string): Promise<NetworkFile> {
  if (!/\.json$/i.test(path))
    throw new UsageError(
      `--model ${path}: the engine tfjs takes a model.json of TensorFlow.js; for a network in ONNX leave out --engine tfjs`,
    )
  const { format, topology, weights } = await readTfjsModel(path)
  if (format === 'graph-model')
    throw new UnsupportedModelError(
      `${path}: a graph model has operations and no layers; save a LayersModel (model.save of TensorFlow.js, or ` +
        'tensorflowjs_converter with --output_format=tfjs_layers_model), or use ONNX',
    )
  if (typeof topology !== 'object' || topology === null || Array.isArray(topology))
    throw new UnsupportedModelError(`${path}: it holds weights without layers (no modelTopology)`)
  const other = weights.find(({ dtype }) => !isFloat(dtype as DType))
  if (other !== undefined)
    throw new UnsupportedModelError(
      `${path}: weight ${other.name} is ${other.dtype}: only networks whose weights are all real numbers are replayed by TensorFlow.js`,
    )
  return { path, topology, weights: weights.map(({ name, shape }) => ({ name, shape })) }
}

/**
 * Binds the weights of a model.json to the checkpoints. Keras and TensorFlow.js lay weights out alike, so that nothing may
 * be transposed on the way.
 * @throws BindingError where they don't fit
 * @throws UsageError where the map is wrong
 */
export async function bindWeights(
  { path, weights }: NetworkFile,
  { checkpoints, others, stepUnit }: Trajectory,
  map: string | undefined,
): Promise<Binding> {
  const network = weights.map(({ name, shape }) => ({ name, shape, dtype: 'float32' as const }))
  const binding = await bind(network, checkpoints, {
    model: path,
    stepUnit,
    ...(others !== undefined && { others }),
    ...(map !== undefined && { map: await readMap(map) }),
  })
  const other = binding.pairs.find(({ permutation, reshaped }) => permutation ?? reshaped)
  if (other !== undefined)
    throw new BindingError(
      `${path}: '${other.tensor}' of the checkpoints lies otherwise in memory than ${other.parameter}: they are not of Keras; ` +
        'export the network as ONNX and use --engine onnxruntime',
    )
  const [missing] = binding.constants
  if (missing !== undefined)
    throw new BindingError(`${path}: the checkpoints don't hold ${missing}, a weight of the network`)
  return binding
}
