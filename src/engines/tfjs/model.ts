import { EngineError, ModelError, UnsupportedModelError, reasonOf } from '../../errors.js'
import { elementCount } from '../../tensor.js'
import type { LayersModel, Variable } from '@tensorflow/tfjs'
import { variableOf } from './layers.js'
import type { Tf } from './load.js'

/** A weight as the manifest of a model.json has it, without its numbers. */
export interface WeightSpec {
  readonly name: string
  readonly shape: readonly number[]
}

/** What a network is built from: plain data. */
export interface NetworkFile {
  /** Where it was read, for messages. */
  readonly path: string
  /** `modelTopology` of the model.json: JSON. */
  readonly topology: object
  readonly weights: readonly WeightSpec[]
}

/** A network of layers whose variables are known by the names that the checkpoints have. */
export interface BuiltModel {
  readonly model: LayersModel
  /** In the order of the manifest. */
  readonly variables: ReadonlyMap<string, Variable>
}

/** Keys of a layer's configuration that count elements of its weights. */
const SIZES = new Set(['units', 'filters', 'input_dim', 'output_dim', 'inputDim', 'outputDim'])

/**
 * Builds the network of a model.json with TensorFlow.js, which decides which weight of the manifest belongs to which
 * layer. Weights hold no sensible numbers afterwards.
 *
 * @throws UnsupportedModelError for layers that TensorFlow.js does not know, and models without layers
 * @throws ModelError where topology and weights don't fit together
 */
export async function buildModel(tf: Tf, file: NetworkFile): Promise<BuiltModel> {
  checkSizes(file)
  const model = await load(tf, file)
  const variables = new Map<string, Variable>()
  for (const weight of model.layers.flatMap((layer) => layer.weights)) {
    const variable = variableOf(weight)
    // a variable that training leaves alone, a moving average, has a gradient too
    variable.trainable = true
    const [mark] = tf.tidy(() => variable.flatten().slice(0, 1).dataSync())
    const spec = file.weights[(mark ?? 0) - 1]
    if (spec === undefined)
      throw new ModelError(`${file.path}: weight ${weight.originalName} has no numbers in weightsManifest`)
    variables.set(spec.name, variable)
  }
  const ordered = file.weights.flatMap(({ name }) => {
    const variable = variables.get(name)
    return variable === undefined ? [] : [[name, variable] as const]
  })
  return { model, variables: new Map(ordered) }
}

/** Every element of the weight numbered i is i + 1, so that it is known again in the layer that it was given to. */
function markedWeights({ weights }: NetworkFile): ArrayBuffer {
  const total = weights.reduce((sum, { shape }) => sum + elementCount(shape), 0)
  const values = new Float32Array(total)
  let at = 0
  for (const [i, { shape }] of weights.entries()) {
    const count = elementCount(shape)
    values.fill(i + 1, at, at + count)
    at += count
  }
  return values.buffer
}

async function load(tf: Tf, file: NetworkFile): Promise<LayersModel> {
  const weightSpecs = file.weights.map(({ name, shape }) => ({
    name,
    shape: [...shape],
    dtype: 'float32' as const,
  }))
  const artifacts = { modelTopology: file.topology, weightSpecs, weightData: markedWeights(file) }
  try {
    return await tf.loadLayersModel({ load: () => Promise.resolve(artifacts) })
  } catch (error) {
    throw asTyped(error, file.path)
  }
}

/** What TensorFlow.js says of a class that it does not know. */
const UNKNOWN = /Unknown (layer|[a-z ]+): ([^\s.]+)/i

function asTyped(error: unknown, path: string): Error {
  const reason = reasonOf(error).split('\n', 1)[0]!
  const [, kind, name] = UNKNOWN.exec(reason) ?? []
  if (kind !== undefined && name !== undefined)
    return new UnsupportedModelError(
      `${path}: TensorFlow.js has no ${kind} '${name}' (a custom or Lambda layer, or a newer Keras): ` +
        'export the network as ONNX and use --engine onnxruntime',
    )
  if (/allocat|array length|memory/i.test(reason))
    return new EngineError(`${path}: TensorFlow.js has no memory to build the network: ${reason}`)
  return new ModelError(`${path}: TensorFlow.js can't build the network: ${reason}`)
}

/** Refuses layers that are larger than all weights together: nothing may be allocated on a file's word alone. */
function checkSizes({ path, topology, weights }: NetworkFile): void {
  const total = weights.reduce((sum, { shape }) => sum + elementCount(shape), 0)
  const stack: unknown[] = [topology]
  while (stack.length > 0) {
    const value = stack.pop()
    if (typeof value !== 'object' || value === null) continue
    for (const [key, entry] of Object.entries(value)) {
      if (SIZES.has(key) && typeof entry === 'number' && entry > total)
        throw new ModelError(
          `${path}: corrupt: a layer has ${key} ${entry}, and all weights together ${total} elements`,
        )
      stack.push(entry)
    }
  }
}
