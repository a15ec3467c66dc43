import type { LayersModel, Tensor, Tensor5D } from '@tensorflow/tfjs'
import { leafLayers } from './layers.js'
import type { Layer } from './layers.js'
import type { Tf } from './load.js'

/** What TensorFlow.js' convolutions hold beside their public properties. */
interface Convolution {
  dilationRate?: number | readonly number[]
  kernel?: { read(): Tensor } | null
  depthwiseKernel?: { read(): Tensor } | null
}

/**
 * Makes a network differentiable where TensorFlow.js 4.22 computes layers but has no derivative of them: dilated
 * convolutions, transposed ones in three dimensions, and comparisons (ThresholdedReLU, Masking).
 */
export function repair(tf: Tf, model: LayersModel): void {
  registerDerivatives(tf)
  for (const layer of leafLayers(model)) dilateItself(layer as Layer & Convolution)
}

/** A dilated convolution is a plain one whose kernel has zeros between its entries. */
function dilateItself(layer: Convolution): void {
  const { dilationRate, kernel, depthwiseKernel } = layer
  const rates = typeof dilationRate === 'number' ? [dilationRate] : (dilationRate ?? [])
  const own = depthwiseKernel ?? kernel
  if (!own || rates.every((rate) => rate === 1)) return
  const read = (): Tensor => rates.reduce(dilated, own.read())
  if (depthwiseKernel) layer.depthwiseKernel = { read }
  else layer.kernel = { read }
  layer.dilationRate = rates.map(() => 1)
}

/** [..., n, ...] -> [..., (n - 1) rate + 1, ...] along an axis. */
function dilated(kernel: Tensor, rate: number, axis: number): Tensor {
  if (rate === 1) return kernel
  const { shape } = kernel
  const count = (sizes: readonly number[]): number => sizes.reduce((a, b) => a * b, 1)
  const [before, size, after] = [count(shape.slice(0, axis)), shape[axis]!, count(shape.slice(axis + 1))]
  const apart = kernel
    .reshape([before, size, 1, after])
    .pad([
      [0, 0],
      [0, 0],
      [0, rate - 1],
      [0, 0],
    ])
    .reshape([before, size * rate, after])
  const length = (size - 1) * rate + 1
  return apart.slice([0, 0, 0], [before, length, after]).reshape(shape.with(axis, length))
}

const COMPARISONS = ['Equal', 'NotEqual', 'Greater', 'GreaterEqual', 'Less', 'LessEqual']

function registerDerivatives(tf: Tf): void {
  // the tape takes derivatives in float32, those of yes and no too
  const zeros = (value: Tensor): Tensor => tf.zeros(value.shape)
  for (const kernelName of COMPARISONS)
    register(tf, kernelName, ['a', 'b'], (_, [a, b]) => ({
      a: () => zeros(a!),
      b: () => zeros(b!),
    }))
  // where a mask is made of values that depend on parameters
  register(tf, 'Any', ['x'], (_, [x]) => ({ x: () => zeros(x!) }))
  // y = conv3d transposed of dy by filter: linear in both, so that its derivatives are those of conv3d the other way round
  register(tf, 'Conv3DBackpropInputV2', ['dy', 'filter'], (given, [dy, filter], { strides, pad }) => ({
    dy: () => tf.conv3d(given as Tensor5D, filter as Tensor5D, strides as number, pad as 'valid'),
    // the operation itself: a gradient can't be taken within one
    filter: () =>
      tf
        .engine()
        .runKernel<Tensor>(
          'Conv3DBackpropFilterV2',
          { x: given, dy: dy! },
          { strides: strides as number[], pad: pad as string, filterShape: filter!.shape },
        ),
  }))
}

/** The derivative of an operation, from that of its result. */
type Derivative = (
  dy: Tensor,
  saved: readonly Tensor[],
  attributes: Readonly<Record<string, unknown>>,
) => Readonly<Record<string, () => Tensor>>

function register(tf: Tf, kernelName: string, inputsToSave: string[], derivative: Derivative): void {
  // undefined where there is none, whatever the type says
  const known: unknown = tf.getGradient(kernelName)
  if (known !== undefined) return
  tf.registerGradient({
    kernelName,
    inputsToSave,
    gradFunc: (dy, saved, attributes) => derivative(dy as Tensor, saved, { ...attributes }),
  })
}
