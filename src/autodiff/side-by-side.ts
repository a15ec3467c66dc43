import { intAttribute, stringAttribute } from '../onnx/attributes.js'
import type { GraphBuilder } from '../onnx/builder.js'

/** A value with zeros around it along one axis: what is left of them where it is put beside another. */
interface Placed {
  readonly value: string
  /** Counted from 0 or from the end, as the Pad has it. */
  readonly axis: number
  readonly before: number
  readonly after: number
}

/**
 * The sum of two cotangents that lie in neighbouring parts of an axis, zeros elsewhere: they are put side by side
 * instead of padded and added, as the slices of one value have them. Undefined for others.
 */
export function sideBySide(builder: GraphBuilder, a: string, b: string): string | undefined {
  const [left, right] = [placed(builder, a), placed(builder, b)]
  if (left === undefined || right === undefined || left.axis !== right.axis) return undefined
  const { axis } = left
  const size = builder.shapeOf(a)?.at(axis)
  if (typeof size !== 'number' || builder.shapeOf(b)?.at(axis) !== size) return undefined
  const [first, second] = left.before < right.before ? [left, right] : [right, left]
  if (size - first.after !== second.before) return undefined
  const joined = builder.add('Concat', [...partsOf(builder, first), ...partsOf(builder, second)], { axis })
  if (first.before === 0 && second.after === 0) return joined
  return builder.add('Pad', [
    joined,
    builder.integers([first.before, second.after]),
    '',
    builder.integers([axis]),
  ])
}

/** A Pad with zeros along one axis. */
function placed(builder: GraphBuilder, padded: string): Placed | undefined {
  const node = builder.producer(padded)
  if (node?.op !== 'Pad' || stringAttribute(node, 'mode', 'constant') !== 'constant') return undefined
  const [value = '', pads = '', filling = '', axes = ''] = node.inputs
  const [margins, along] = [builder.constantsOf(pads), builder.constantsOf(axes)]
  if (filling !== '' || margins?.length !== 2 || along?.length !== 1) return undefined
  const [before, after] = margins as [number, number]
  return before < 0 || after < 0 ? undefined : { value, axis: along[0]!, before, after }
}

/** What was put side by side before is put beside the next in one Concat. */
function partsOf(builder: GraphBuilder, { value, axis }: Placed): readonly string[] {
  const node = builder.producer(value)
  const joins = node?.op === 'Concat' && intAttribute(node, 'axis', 0) === axis
  return joins ? node.inputs : [value]
}
