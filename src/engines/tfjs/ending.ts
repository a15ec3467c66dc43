import type { LayersModel, SymbolicTensor, Tensor } from '@tensorflow/tfjs'
import { leafLayers } from './layers.js'
import type { Layer } from './layers.js'

/** What TensorFlow.js' models and layers hold beside their public properties. */
interface Inside {
  readonly model?: Container
  readonly layer?: Layer
  readonly activation?: Activation | null
  readonly axis?: number
}

interface Container {
  readonly outputLayers?: readonly Layer[]
  readonly nodesByDepth?: Readonly<Record<string, readonly { readonly outboundLayer: Layer }[]>>
}

interface Activation {
  apply(x: Tensor): Tensor
  getClassName(): string
}

/** The activation that a network ends in. */
export interface FinalActivation {
  readonly op: 'Softmax' | 'LogSoftmax' | 'Sigmoid'
  /** The layer that computes it. */
  readonly layer: string
  /** Makes the network end in what the activation is taken of; undefined where the layer is used elsewhere too. */
  readonly takeOff?: () => void
}

const NAMES: Readonly<Record<string, FinalActivation['op']>> = {
  softmax: 'Softmax',
  logSoftmax: 'LogSoftmax',
  sigmoid: 'Sigmoid',
}

/** Layers that hand values on when nothing is trained. */
const PASSING = new Set([
  'Dropout',
  'SpatialDropout1D',
  'AlphaDropout',
  'GaussianDropout',
  'GaussianNoise',
  'ActivityRegularization',
])

/** Softmax, LogSoftmax or Sigmoid at the end of a network's first output, also inside nested models and wrappers. */
export function finalActivation(model: LayersModel): FinalActivation | undefined {
  const [output] = model.outputs
  return output === undefined ? undefined : endOf(model, output.sourceLayer, output, true)
}

/**
 * @param container the model that the layer is in
 * @param alone whether everything around is used once
 */
function endOf(
  container: object,
  layer: Layer,
  output: SymbolicTensor | undefined,
  alone: boolean,
): FinalActivation | undefined {
  const once = alone && uses(container, layer) <= 1
  const { model, layer: wrapped } = layer as Layer & Inside
  const inner = model ?? (layer as Container)
  const last = inner.outputLayers?.length === 1 ? inner.outputLayers[0] : undefined
  if (last !== undefined) return endOf(inner, last, undefined, once)
  if (layer.getClassName() === 'TimeDistributed' && wrapped !== undefined)
    return wrapped.getClassName() === 'Dense' ? activationOf(wrapped, once) : undefined
  const input = handedOn(layer, output)
  if (input !== undefined) return endOf(container, input.sourceLayer, input, once)
  return activationOf(layer, once)
}

/** What a layer hands on as it is, or in another shape with the same last axis. */
function handedOn(layer: Layer, output: SymbolicTensor | undefined): SymbolicTensor | undefined {
  const { input } = layer.inboundNodes.length === 1 ? layer : { input: undefined }
  if (input === undefined || Array.isArray(input)) return undefined
  if (PASSING.has(layer.getClassName())) return input
  const sameEnd = layer.getClassName() === 'Reshape' && output?.shape.at(-1) === input.shape.at(-1)
  return sameEnd ? input : undefined
}

function activationOf(layer: Layer, once: boolean): FinalActivation | undefined {
  const own = layer as Layer & Inside & { activation?: Activation | null; call: unknown }
  if (layer.getClassName() === 'Softmax') {
    if (!isLast(own.axis, layer)) return undefined
    const takeOff = (): void => {
      own.call = (inputs: Tensor | Tensor[]) => (Array.isArray(inputs) ? inputs[0]! : inputs).clone()
    }
    return { op: 'Softmax', layer: layer.name, ...(once && { takeOff }) }
  }
  const op = NAMES[own.activation?.getClassName() ?? '']
  if (op === undefined || /RNN|LSTM|GRU/.test(layer.getClassName())) return undefined
  const takeOff = (): void => {
    own.activation = { apply: (x) => x.clone(), getClassName: () => 'linear' }
  }
  return { op, layer: layer.name, ...(once && { takeOff }) }
}

/** Whether an axis is the last one of what a layer gives; TensorFlow.js' own Softmax has axis 1 where none is named. */
function isLast(axis: number | undefined, { inboundNodes }: Layer): boolean {
  const rank = inboundNodes[0]?.outputTensors[0]?.rank
  return axis === -1 || (rank !== undefined && axis === rank - 1)
}

/** How often a model calls a layer. */
function uses(container: object, layer: Layer): number {
  const { nodesByDepth } = ((container as Inside).model ?? container) as Container
  const nodes = Object.values(nodesByDepth ?? {}).flat()
  return nodes.filter(({ outboundLayer }) => outboundLayer === layer).length
}

/** Layers that carry something from one micro-batch to the next. */
export function statefulLayer(model: LayersModel): Layer | undefined {
  return leafLayers(model).find((layer) => layer.stateful)
}
