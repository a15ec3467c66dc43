import type { GraphBuilder } from '../onnx/builder.js'
import type { Shape } from '../onnx/graph.js'

/**
 * Undoes broadcasting: sums a cotangent over the axes along which `target` was repeated, to target's shape. Where
 * shapes are not known well enough to name those axes, they are found when the graph runs.
 */
export function sumToShape(builder: GraphBuilder, cotangent: string, target: string): string {
  const [from, to] = [builder.shapeOf(cotangent), builder.shapeOf(target)]
  const axes = from === undefined || to === undefined ? undefined : repeatedAxes(from, to)
  if (axes === undefined) return sumAtRun(builder, cotangent, target)
  if (axes.length === 0) return cotangent
  const added = from!.length - to!.length
  // axes in front that the target lacks are dropped, axes of size 1 stay
  const front = axes.filter((axis) => axis < added)
  const inside = axes.filter((axis) => axis >= added).map((axis) => axis - added)
  return builder.sum(builder.sum(cotangent, front, false), inside, true)
}

/** The axes of `from` along which a value of shape `to` was repeated, or undefined where symbols leave it open. */
function repeatedAxes(from: Shape, to: Shape): number[] | undefined {
  const added = from.length - to.length
  if (added < 0) return undefined
  const axes: number[] = []
  for (const [axis, size] of from.entries()) {
    const own = axis < added ? undefined : to[axis - added]
    if (own === size) continue
    if (own !== undefined && own !== 1) return undefined
    axes.push(axis)
  }
  return axes
}

/**
 * The same at run time: the target's shape, filled with ones in front, is compared with the cotangent's, and the axes
 * where they differ are summed.
 */
function sumAtRun(builder: GraphBuilder, cotangent: string, target: string): string {
  const [shape, own] = [builder.shape(cotangent), builder.shape(target)]
  const missing = builder.add('Sub', [builder.add('Shape', [shape]), builder.add('Shape', [own])])
  const ones = builder.add('Expand', [builder.integers([1]), missing])
  const padded = builder.add('Concat', [ones, own], { axis: 0 })
  const differs = builder.cast(builder.add('Not', [builder.add('Equal', [padded, shape])]), 'int64')
  const axes = builder.reshape(builder.add('NonZero', [differs]), [-1])
  const summed = builder.add('ReduceSum', [cotangent, axes], { keepdims: 1, noop_with_empty_axes: 1 })
  return builder.reshapeTo(summed, own)
}
