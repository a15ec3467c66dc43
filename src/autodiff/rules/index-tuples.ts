import { intAttribute, stringAttribute } from '../../onnx/attributes.js'
import type { GraphBuilder } from '../../onnx/builder.js'
import { Integers } from '../integers.js'
import type { Integer } from '../integers.js'
import { RuleRefusal } from '../rule.js'
import type { RewriteContext, VjpContext } from '../rule.js'
import { addAlong, sizesOf } from './placing.js'

/** The axes that the index tuples of GatherND and ScatterND count through, and what lies before and behind them. */
interface Indexed {
  /** Axes that data and indices share. */
  readonly batch: readonly Integer[]
  /** One axis for each element of a tuple. */
  readonly counted: readonly Integer[]
  /** Axes of the slices that the tuples name. */
  readonly rest: readonly Integer[]
}

function indexedAxes(builder: GraphBuilder, data: string, indices: string, batchDims: number): Indexed {
  const length = builder.shapeOf(indices)?.at(-1)
  if (typeof length !== 'number')
    throw new RuleRefusal('the length of its index tuples is not known when the graph is built')
  const sizes = sizesOf(builder, data)
  return {
    batch: sizes.slice(0, batchDims),
    counted: sizes.slice(batchDims, batchDims + length),
    rest: sizes.slice(batchDims + length),
  }
}

/** The data's axes in two: the places that the tuples name, and the elements of a slice. */
function folded(builder: GraphBuilder, { batch, counted, rest }: Indexed): [places: Integer, slice: Integer] {
  const integers = new Integers(builder)
  return [integers.product([...batch, ...counted]), integers.product(rest)]
}

/**
 * For every tuple the place that it names, counted through batch and counted axes in row-major order; one dimension.
 * Each index picks its multiple of the axis' stride from a list of them, which refuses what is out of bounds.
 */
function placesOf(builder: GraphBuilder, indices: string, { batch, counted }: Indexed): string {
  const integers = new Integers(builder)
  const parts = counted.map((size, i) => {
    const index = builder.add('Gather', [indices, builder.scalar(i, 'int64')], { axis: -1 })
    const stride = integers.product(counted.slice(i + 1))
    const steps = integers.range(size)
    return builder.add('Gather', [stride === 1 ? steps : builder.mul(steps, integers.value(stride)), index])
  })
  const place = parts.reduce((sum, part) => builder.add('Add', [sum, part]))
  if (batch.length === 0) return builder.reshape(place, [-1])
  const own = integers.range(integers.product(batch))
  const first = builder.mul(own, integers.value(integers.product(counted)))
  const behind = Array.from({ length: builder.rank(indices)! - 1 - batch.length }, () => 1)
  const shaped = builder.reshapeTo(first, integers.vector([...batch, ...behind]))
  return builder.reshape(builder.add('Add', [place, shaped]), [-1])
}

/** Undoes GatherND 13: every slice's cotangent is added to the slice that it was taken from. */
export function gatherNdBack(c: VjpContext): string {
  const { builder } = c
  const indexed = indexedAxes(builder, c.x(0), c.x(1), intAttribute(c.node, 'batch_dims', 0))
  const [places, slice] = folded(builder, indexed)
  const integers = new Integers(builder)
  const g = builder.reshapeTo(c.g, integers.vector([-1, slice]))
  const sum = addAlong(builder, g, placesOf(builder, c.x(1), indexed), 0, [places, slice])
  return builder.reshapeLike(sum, c.x(0))
}

/**
 * ScatterND 18 as ScatterElements along one axis of places, which has a rule. With a reduction ONNX Runtime's own
 * kernel also loses updates to the same place when it runs in several threads.
 */
export function scatterNdAsElements(c: RewriteContext): string {
  const { builder } = c
  c.shape(0)
  const reduction = stringAttribute(c.node, 'reduction', 'none')
  const indexed = indexedAxes(builder, c.x(0), c.x(1), 0)
  const [places, slice] = folded(builder, indexed)
  const integers = new Integers(builder)
  const data = builder.reshapeTo(c.x(0), integers.vector([places, slice]))
  const updates = builder.reshapeTo(c.x(2), integers.vector([-1, slice]))
  const column = builder.reshape(placesOf(builder, c.x(1), indexed), [-1, 1])
  const inputs = [data, builder.expandLike(column, updates), updates]
  return builder.reshapeLike(builder.add('ScatterElements', inputs, { axis: 0, reduction }), c.x(0))
}
