import { intsAttribute, stringAttribute } from '../../onnx/attributes.js'
import type { Node, Shape } from '../../onnx/graph.js'
import { staticShape } from '../../onnx/shapes/dims.js'
import { extent, windowOf } from '../../onnx/shapes/spatial.js'
import { Integers } from '../integers.js'
import type { RewriteContext, VjpContext } from '../rule.js'
import { withZerosAround } from './placing.js'
import type { Margin } from './placing.js'

/** The spatial size of a convolution's kernel, undefined where neither its shape nor the node says it. */
export function kernelOf(c: Pick<VjpContext, 'node' | 'builder' | 'x'>): number[] | undefined {
  return staticShape(c.builder.shapeOf(c.x(1))?.slice(2)) ?? intsAttribute(c.node, 'kernel_shape')
}

/**
 * Whether a node pads by a rule (auto_pad SAME_UPPER, SAME_LOWER with strides) whose result hangs on sizes that are
 * known at run time only. Its window then has no numbers that an attribute could hold.
 */
export function padsAtRun(node: Node, kernel: readonly number[] | undefined, image: Shape): boolean {
  return kernel !== undefined && typeof windowOf(node, kernel, image.slice(2)) === 'string'
}

/** The image (or one of its spatial sizes) with the zeros around it that auto_pad asks for (Conv 11, AveragePool 11). */
export function samePadded(c: RewriteContext, kernel: readonly number[], image: string): string {
  const integers = new Integers(c.builder)
  const ones = kernel.map(() => 1)
  const strides = intsAttribute(c.node, 'strides') ?? ones
  const dilations = intsAttribute(c.node, 'dilations') ?? ones
  const upper = stringAttribute(c.node, 'auto_pad', 'NOTSET') === 'SAME_UPPER'
  const margins = kernel.map((_, i): Margin => {
    const size = integers.size(c.x(0), i + 2)
    const stride = strides[i]!
    const last = integers.mul(integers.div(integers.sub(size, 1), stride), stride)
    const covered = integers.add(last, extent({ kernel, strides, dilations }, i))
    const total = integers.max(integers.sub(covered, size), 0)
    const small = integers.div(total, 2)
    const large = integers.sub(total, small)
    return { axis: i + 2, before: upper ? small : large, after: upper ? large : small }
  })
  return withZerosAround(c.builder, image, margins)
}

/** The node's own operator on an image that is padded already. */
export function unpadded(c: RewriteContext, image: string, further: readonly string[] = []): string {
  const dropped = new Set(['auto_pad', 'pads', 'ceil_mode'])
  const attributes = new Map([...c.node.attributes].filter(([name]) => !dropped.has(name)))
  return c.builder.addNode(c.node.op, [image, ...further], 1, attributes)[0]!
}
