import type { LayersModel, Tensor, Variable, layers as TfLayers } from '@tensorflow/tfjs'
import type { Role } from '../../onnx/usage.js'

export type Layer = TfLayers.Layer

/** What the layers of TensorFlow.js hold beside their public properties; read, never written. */
interface Inside {
  readonly layers?: readonly Layer[]
  readonly model?: Layer
  readonly layer?: Layer
  readonly forwardLayer?: Layer
  readonly backwardLayer?: Layer
}

/** A network's layers without other layers inside, in order, each once: those of nested models and wrappers too. */
export function leafLayers(model: LayersModel): Layer[] {
  const found = new Set<Layer>()
  const visit = (layer: Layer): void => {
    const { layers, layer: wrapped, forwardLayer, backwardLayer } = layer as Layer & Inside
    const inner = [...(layers ?? []), ...[forwardLayer, backwardLayer, forwardLayer ? undefined : wrapped]]
    const given = inner.filter((one) => one !== undefined)
    if (given.length === 0) found.add(layer)
    else given.forEach(visit)
  }
  visit(model)
  return [...found]
}

/** The variable behind a layer's weight: what it reads is the variable itself, whatever its type says. */
export function variableOf(weight: Layer['weights'][number]): Variable {
  const value: unknown = weight.read()
  return value as Variable
}

/** Which weight of which layer a variable is. */
export interface Owner {
  readonly className: string
  /** The name that the layer gave it. */
  readonly weight: string
}

export function ownersOf(model: LayersModel): ReadonlyMap<Variable, Owner> {
  const owners = leafLayers(model).flatMap((layer) =>
    layer.weights.map((weight): [Variable, Owner] => [
      variableOf(weight),
      { className: layer.getClassName(), weight: weight.originalName },
    ]),
  )
  return new Map(owners)
}

const BATCH_NORM = 'BatchNormalization'

/** What a BatchNormalization layer holds. */
interface BatchNormLayer {
  readonly axis: number
  readonly epsilon: number
  readonly gamma?: { read(): Tensor } | null
  readonly beta?: { read(): Tensor } | null
  readonly movingMean: { read(): Tensor }
  readonly movingVariance: { read(): Tensor }
  call: (inputs: Tensor | Tensor[], kwargs: object) => Tensor
}

export function batchNormLayers(model: LayersModel): Layer[] {
  return leafLayers(model).filter((layer) => layer.getClassName() === BATCH_NORM)
}

/**
 * Says which statistics BatchNormalization uses, while every other layer stays as for prediction: its moving ones, or
 * those of the micro-batch, which leave the moving ones alone. The variance is the biased one, as in training.
 *
 * Only on moving statistics and with both scale and centre the layer's own operation is left in place: TensorFlow.js has
 * no derivative of it without them (4.22).
 */
export function setStatistics(model: LayersModel, of: 'running' | 'batch'): void {
  for (const layer of batchNormLayers(model)) {
    const own = layer as unknown as BatchNormLayer
    if (of === 'running' && own.gamma && own.beta) continue
    const statistics = of === 'batch' ? ofBatch : ofPast
    own.call = (inputs) => normalized(own, Array.isArray(inputs) ? inputs[0]! : inputs, statistics)
  }
}

/** Mean and variance of a layer's input along its channels, in shapes that broadcast to it. */
type Statistics = (layer: BatchNormLayer, x: Tensor, axis: number) => { mean: Tensor; variance: Tensor }

const ofBatch: Statistics = (_, x, axis) => {
  const others = x.shape.flatMap((__, i) => (i === axis ? [] : [i]))
  const mean = x.mean(others, true)
  return { mean, variance: x.sub(mean).square().mean(others, true) }
}

const ofPast: Statistics = ({ movingMean, movingVariance }, x, axis) => ({
  mean: movingMean.read().reshape(alongAxis(x, axis)),
  variance: movingVariance.read().reshape(alongAxis(x, axis)),
})

function alongAxis(x: Tensor, axis: number): number[] {
  return x.shape.map((size, i) => (i === axis ? size : 1))
}

/** (x - mean) / sqrt(variance + epsilon) * gamma + beta */
function normalized(layer: BatchNormLayer, x: Tensor, statistics: Statistics): Tensor {
  const { axis: given, epsilon, gamma, beta } = layer
  const axis = given < 0 ? given + x.rank : given
  const { mean, variance } = statistics(layer, x, axis)
  const normed = x.sub(mean).mul(variance.add(epsilon).rsqrt())
  const scaled = gamma ? normed.mul(gamma.read().reshape(alongAxis(x, axis))) : normed
  return beta ? scaled.add(beta.read().reshape(alongAxis(x, axis))) : scaled
}

/** What a weight is to its layer, and the axis of its units; as onnx/usage.ts has it for ONNX. */
export interface WeightRole {
  readonly role: Role
  readonly unitAxis: number
}

/** Layers whose kernel has the axis of units elsewhere than at its end, from the end. */
const KERNEL_AXIS: Readonly<Record<string, number>> = {
  // [height, width, output, input]
  Conv2DTranspose: -2,
  Conv3DTranspose: -2,
}

/**
 * The role of a weight from its own name, which Keras gives, and the class of its layer. Kernels end in their output axis;
 * a depthwise kernel's outputs are its channels times a multiplier, of which the channel is the unit.
 */
export function roleOf(name: string, className: string, rank: number): WeightRole {
  const own = name.replace(/:\d+$/, '').replace(/_\d+$/, '').split('/').at(-1)!
  const last = Math.max(0, rank - 1)
  if (/^moving_(mean|variance)$/.test(own)) return { role: 'buffer', unitAxis: 0 }
  if (/depthwise_kernel$/.test(own)) return { role: 'weight', unitAxis: Math.max(0, rank - 2) }
  if (/kernel$/.test(own)) return { role: 'weight', unitAxis: rank + (KERNEL_AXIS[className] ?? -1) }
  if (/bias$/.test(own)) return { role: 'bias', unitAxis: last }
  if (/^embeddings?$/.test(own)) return { role: 'embedding', unitAxis: 0 }
  if (own === 'gamma' || own === 'beta') return { role: 'norm', unitAxis: 0 }
  if (own === 'alpha') return { role: 'weight', unitAxis: last }
  return rank <= 1 ? { role: 'norm', unitAxis: 0 } : { role: 'weight', unitAxis: last }
}
