import { intAttribute } from '../../onnx/attributes.js'
import type { GraphBuilder } from '../../onnx/builder.js'
import { sameShape } from '../../onnx/shapes/dims.js'
import { Integers } from '../integers.js'
import type { Integer } from '../integers.js'
import { RuleRefusal, alwaysRewritten, refused, rewritten, zero } from '../rule.js'
import type { RewriteContext, Treatments } from '../rule.js'
import { axisFrom, followSequence, piecesOf } from './sequence-follow.js'
import type { Pieces } from './sequence-follow.js'
import { mapped } from './sequence-map.js'

const UNKNOWN =
  'which tensors a sequence holds must be known when the graph is built: fixed sizes and positions, and no loop or ' +
  'branch that it comes from'

/** What makes a sequence stays in the graph, where those that read tensors from it are rewritten; nothing else reads it. */
const followed = refused(UNKNOWN)

/** Sequences of tensors, followed from the nodes that make them to those that take tensors out. */
export const SEQUENCES: Treatments = {
  SequenceConstruct: followed,
  SequenceEmpty: followed,
  SequenceInsert: followed,
  SequenceErase: followed,
  Optional: refused('what an optional value holds must be known when the graph is built'),
  // a Split where the number of parts is known (SplitToSequence 11)
  SplitToSequence: alwaysRewritten((c) => {
    const parts = partsOf(c)
    return parts && [c.builder.add('SequenceConstruct', parts)]
  }),
  // the element, or the piece of the tensor that was split (SequenceAt 11)
  SequenceAt: alwaysRewritten((c) => whereFollowed(c, elementAt(c))),
  // Concat of the elements (ConcatFromSequence 11)
  ConcatFromSequence: alwaysRewritten((c) => whereFollowed(c, joined(c))),
  // the body once for every element (SequenceMap 17)
  SequenceMap: rewritten((c) => {
    const results = mapped(c)
    if (results === undefined) throw new RuleRefusal(UNKNOWN)
    return results
  }),
  // what was put in (OptionalGetElement 15, 18)
  OptionalGetElement: alwaysRewritten((c) => whereFollowed(c, content(c.builder, c.x(0)))),
  SequenceLength: alwaysRewritten((c) => {
    const sequence = followSequence(c.builder, c.x(0))
    return sequence?.kind === 'list' ? [c.builder.scalar(sequence.elements.length, 'int64')] : undefined
  }),
  OptionalHasElement: zero,
}

/** A node whose sequence can't be followed stays where nothing needs its derivative. */
function whereFollowed(c: RewriteContext, value: string | undefined): string[] | undefined {
  if (value === undefined && c.active) throw new RuleRefusal(UNKNOWN)
  return value === undefined ? undefined : [value]
}

function partsOf(c: RewriteContext): readonly string[] | undefined {
  const { builder, node } = c
  const axis = axisFrom(builder, node)
  if (axis === undefined) return undefined
  const pieces = piecesOf(builder, node)
  if (pieces !== undefined) return equalParts(builder, pieces)
  const count = builder.rank(c.x(1)) === 1 ? builder.shapeOf(c.x(1))![0] : undefined
  return typeof count === 'number'
    ? split(builder, c.x(0), builder.cast(c.x(1), 'int64'), count, axis)
    : undefined
}

function split(
  builder: GraphBuilder,
  x: string,
  sizes: string,
  count: number,
  axis: number,
): readonly string[] {
  return count === 1 ? [x] : builder.addMany('Split', [x, sizes], count, { axis })
}

/** A tensor in more parts stays a sequence that is followed as a whole. */
const MOST_PARTS = 4096

function equalParts(
  builder: GraphBuilder,
  { of, axis, size, keepsAxis }: Pieces,
): readonly string[] | undefined {
  const total = builder.shapeOf(of)?.[axis]
  if (typeof total !== 'number' || typeof size !== 'number' || total === 0 || size <= 0) return undefined
  const count = Math.ceil(total / size)
  if (count > MOST_PARTS) return undefined
  const sizes = Array.from({ length: count }, (_, i) => Math.min(size, total - i * size))
  const parts = split(builder, of, builder.integers(sizes), count, axis)
  return keepsAxis ? parts : parts.map((part) => builder.add('Squeeze', [part, builder.integers([axis])]))
}

function elementAt(c: RewriteContext): string | undefined {
  const { builder } = c
  const sequence = followSequence(builder, c.x(0))
  const position = new Integers(builder).fromScalar(builder.cast(builder.reshape(c.x(1), []), 'int64'))
  if (sequence === undefined) return undefined
  if (sequence.kind === 'pieces') return pieceAt(builder, sequence.pieces, position)
  const { elements } = sequence
  return typeof position === 'number' ? elements.at(position) : chosen(builder, elements, c.x(1))
}

/** Which element is known at run time only: they must have one shape. */
function chosen(builder: GraphBuilder, elements: readonly string[], position: string): string | undefined {
  const [first] = elements
  if (first === undefined || elements.some((one) => !sameShape(builder.shapeOf(one), builder.shapeOf(first))))
    return undefined
  return builder.add('Gather', [stacked(builder, elements, 0), position], { axis: 0 })
}

/** The position is picked from a list of all, which refuses one that is out of bounds; negative ones count from its end. */
function pieceAt(builder: GraphBuilder, { of, axis, size, keepsAxis }: Pieces, position: Integer): string {
  const integers = new Integers(builder)
  if (!keepsAxis) return builder.add('Gather', [of, integers.scalar(position)], { axis })
  const total = integers.size(of, axis)
  const count = integers.div(integers.add(total, integers.sub(size, 1)), size)
  const start = integers.mul(builder.add('Gather', [integers.range(count), integers.value(position)]), size)
  const bounds = [start, integers.add(start, size), axis].map((bound) => integers.value(bound))
  return builder.add('Slice', [of, ...bounds])
}

function joined(c: RewriteContext): string | undefined {
  const { builder } = c
  const sequence = followSequence(builder, c.x(0))
  const axis = intAttribute(c.node, 'axis', 0)
  const stacks = intAttribute(c.node, 'new_axis', 0) === 1
  if (sequence?.kind === 'pieces') return rejoined(builder, sequence.pieces, axis, stacks)
  const elements = sequence?.elements
  if (elements === undefined || elements.length === 0) return undefined
  return stacks ? stacked(builder, elements, axis) : builder.add('Concat', elements, { axis })
}

function stacked(builder: GraphBuilder, elements: readonly string[], axis: number): string {
  const axes = builder.integers([axis])
  return builder.add(
    'Concat',
    elements.map((element) => builder.add('Unsqueeze', [element, axes])),
    { axis },
  )
}

/** Pieces put together along the axis that they were cut along are what they were cut from. */
function rejoined(builder: GraphBuilder, pieces: Pieces, axis: number, stacks: boolean): string | undefined {
  const rank = builder.rank(pieces.of)
  const along = axis < 0 ? rank && axis + rank : axis
  return along === pieces.axis && stacks !== pieces.keepsAxis ? pieces.of : undefined
}

/** What an optional value holds; a tensor or a sequence holds itself (OptionalGetElement 18). */
function content(builder: GraphBuilder, value: string): string | undefined {
  const node = builder.producer(value)
  if (node?.domain === '' && node.op === 'Optional') return node.inputs[0]
  if (node?.domain === '' && node.op === 'Identity') return content(builder, node.inputs[0] ?? '')
  return builder.info(value).dtype !== undefined || followSequence(builder, value) !== undefined
    ? value
    : undefined
}
