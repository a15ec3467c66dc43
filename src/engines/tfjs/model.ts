import { EngineError, ModelError, UnsupportedModelError, reasonOf } from '../../errors.js'
import { elementCount, formatShape } from '../../tensor.js'
import type { LayersModel, Variable } from '@tensorflow/tfjs'
import { variableOf } from './layers.js'
import type { Layer } from './layers.js'
import type { Tf } from './load.js'
import { checkWiring, withoutTraining } from './topology.js'

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

/**
 * Builds the network of a model.json with TensorFlow.js, which decides which weight of the manifest belongs to which
 * layer. Weights hold no sensible numbers afterwards.
 *
 * @throws UnsupportedModelError for layers that TensorFlow.js does not know, and models without layers
 * @throws ModelError where topology and weights don't fit together
 */
export async function buildModel(tf: Tf, file: NetworkFile): Promise<BuiltModel> {
  checkWiring(file.topology, file.path)
  const model = await withLimit(tf, file, () => load(tf, file))
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
  const artifacts = {
    modelTopology: withoutTraining(file.topology),
    weightSpecs,
    weightData: markedWeights(file),
  }
  try {
    return await tf.loadLayersModel({ load: () => Promise.resolve(artifacts) })
  } catch (error) {
    throw asTyped(error, file.path)
  }
}

/** What TensorFlow.js says of a class that it does not know. */
const UNKNOWN = /Unknown (layer|[a-z ]+): ([^\s.]+)/i

function asTyped(error: unknown, path: string): Error {
  if (error instanceof ModelError) return error
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

/** TensorFlow.js' layers make every weight by this method. */
interface WeightMaker {
  addWeight: (this: Layer, name: string, shape: readonly number[], ...more: unknown[]) => unknown
}

/**
 * Builds layers that may together have no more elements than all weights of the file: nothing is allocated on the word of
 * a topology alone.
 */
async function withLimit<T>(tf: Tf, { path, weights }: NetworkFile, build: () => Promise<T>): Promise<T> {
  const maker = tf.layers.Layer.prototype as unknown as WeightMaker
  const { addWeight } = maker
  const total = weights.reduce((sum, { shape }) => sum + elementCount(shape), 0)
  let left = total
  maker.addWeight = function (name, shape, ...more) {
    left -= elementCount(shape)
    // a comparison the other way round would let NaN pass
    if (left >= 0) return addWeight.call(this, name, shape, ...more)
    throw new ModelError(
      `${path}: corrupt: layer '${this.name}' has ${name} of ${formatShape(shape)}, and all weights together have ${total} elements`,
    )
  }
  try {
    return await build()
  } finally {
    maker.addWeight = addWeight
  }
}
