import { intAttribute } from '../../onnx/attributes.js'
import type { GraphBuilder } from '../../onnx/builder.js'
import type { Node } from '../../onnx/graph.js'
import { staticShape } from '../../onnx/shapes/dims.js'
import { spatialOutput, windowOf } from '../../onnx/shapes/spatial.js'
import type { Window } from '../../onnx/shapes/spatial.js'
import { elementCount } from '../../tensor.js'
import type { RewriteContext } from '../rule.js'
import { MOST_ACROSS, tiling } from './max-pooling.js'

/**
 * MaxPool of a convolution of few products, a ReLU perhaps between them: the convolution computes the elements of each
 * window as channels of their own, and the ReLU goes behind the maxima. Undefined where that isn't quicker on the CPU
 * provider.
 *
 * max(relu(x)) = relu(max(x)), and where that is 0 no element gets a cotangent, so that the mask is as small as the maxima.
 */
export function pooledConvolution(c: RewriteContext): string | undefined {
  const { builder, settings } = c
  if (settings.forms !== 'cpu' || !c.active || c.wants(1) || builder.info(c.x(0)).dtype !== 'float32')
    return undefined
  const rectifier = soleProducer(c, c.x(0), 'Relu')
  const found = convolutionBefore(c, rectifier?.inputs[0] ?? c.x(0))
  if (found === undefined || !worthwhile(found)) return undefined
  const maximum = besideEachOther(found)
  return rectifier === undefined ? maximum : builder.add('Relu', [maximum])
}

/** The node of one operator that computes a value which is read once. */
function soleProducer(c: RewriteContext, value: string, op: string): Node | undefined {
  const node = c.builder.producer(value)
  return node?.op === op && node.domain === '' && c.readers(value) === 1 ? node : undefined
}

/** A convolution of static sizes and stride 1, of one group and without dilation, and the windows behind it. */
interface PooledConvolution {
  readonly builder: GraphBuilder
  readonly x: string
  readonly w: string
  readonly bias: string
  /** [filters, channels, ...kernel]. */
  readonly kernelShape: readonly number[]
  readonly convolution: Window
  /** Elements of a window by axis. */
  readonly pool: readonly number[]
  /** Windows by axis. */
  readonly count: readonly number[]
}

/**
 * Element a of window i along an axis is element i p + a of the convolution: that of stride p with the kernel moved
 * by a. All elements of a window are then channels of one convolution, [N, elements x M, ...], and pooling takes the
 * largest of equally placed channels, without places to be found or cotangents to be scattered.
 */
function besideEachOther(pooled: PooledConvolution): string {
  const { builder, convolution, pool, count, kernelShape } = pooled
  const elements = places(pool)
  const each = (value: (place: readonly number[]) => string): string =>
    builder.add('Concat', elements.map(value), { axis: 0 })
  const kernel = each((place) => moved(pooled, place))
  const bias = pooled.bias === '' ? [] : [each(() => pooled.bias)]
  const channels = builder.add('Conv', [pooled.x, kernel, ...bias], {
    strides: pool,
    pads: [...convolution.padsBegin, ...convolution.padsEnd],
  })
  const row = kernelShape[0]! * elementCount(count)
  const largest = builder.add('MaxPool', [builder.reshape(channels, [-1, 1, elements.length, row])], {
    kernel_shape: [elements.length, 1],
    strides: [elements.length, 1],
  })
  return builder.reshape(largest, [-1, kernelShape[0]!, ...count])
}

function convolutionBefore(c: RewriteContext, value: string): PooledConvolution | undefined {
  const { builder } = c
  const node = soleProducer(c, value, 'Conv')
  if (node === undefined || intAttribute(node, 'group', 1) !== 1) return undefined
  const [x, w, bias = ''] = node.inputs as [string, string, string?]
  const [kernelShape, image] = [staticShape(builder.shapeOf(w)), staticShape(builder.shapeOf(x)?.slice(2))]
  if (kernelShape === undefined || image === undefined) return undefined
  const convolution = windowOf(node, kernelShape.slice(2), image)
  if (typeof convolution === 'string' || !dense(convolution)) return undefined
  const size = staticShape(spatialOutput(node, convolution.kernel, image, () => ''))
  const pool = size && tiling(c, size)
  if (pool === undefined) return undefined
  const count = size!.map((length, axis) => length / pool[axis]!)
  return { builder, x, w, bias, kernelShape, convolution, pool, count }
}

function dense({ strides, dilations }: Window): boolean {
  return strides.every((stride) => stride === 1) && dilations.every((dilation) => dilation === 1)
}

/** Products that may be added for every element that is pooled. */
const WORTHWHILE = 64

/**
 * Kernels that are moved get zeros around them. The products with these, forward and for each gradient, must take less
 * time than finding the maxima and scattering their cotangents.
 */
function worthwhile({ kernelShape, pool }: PooledConvolution): boolean {
  const [, channels, ...kernel] = kernelShape as [number, number, ...number[]]
  const longer = elementCount(kernel.map((size, axis) => size + pool[axis]! - 1))
  const added = channels * (longer - elementCount(kernel))
  return elementCount(pool) <= MOST_ACROSS && added <= WORTHWHILE
}

/** The places in a window, row by row. */
function places(pool: readonly number[]): number[][] {
  return pool.reduce<number[][]>(
    (found, length) => found.flatMap((place) => Array.from({ length }, (_, at) => [...place, at])),
    [[]],
  )
}

/** The kernel with zeros around it, so that it begins at a place of the window. */
function moved({ builder, w, pool }: PooledConvolution, place: readonly number[]): string {
  const behind = pool.map((length, axis) => length - 1 - place[axis]!)
  return builder.add('Pad', [w, builder.integers([0, 0, ...place, 0, 0, ...behind])])
}
