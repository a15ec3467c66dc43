import { intAttribute } from '../../onnx/attributes.js'
import type { GraphBuilder } from '../../onnx/builder.js'
import type { Node } from '../../onnx/graph.js'
import { normalizeAxis } from '../../onnx/shapes/dims.js'
import { Integers } from '../integers.js'
import type { Integer } from '../integers.js'

/** A sequence of tensors as far as it is known when the graph is built: its elements, or how it was cut. */
export type Sequence =
  | { readonly kind: 'list'; readonly elements: readonly string[] }
  | { readonly kind: 'pieces'; readonly pieces: Pieces }

/** A tensor in pieces of equal size along an axis, the last one perhaps smaller (SplitToSequence with one size). */
export interface Pieces {
  readonly of: string
  readonly axis: number
  readonly size: Integer
  /** Pieces of size 1 may lose their axis. */
  readonly keepsAxis: boolean
}

/** What a value is made of, from the nodes that made it; undefined where that can't be told from them. */
export function followSequence(builder: GraphBuilder, value: string): Sequence | undefined {
  const node = builder.producer(value)
  if (node?.domain !== '') return undefined
  switch (node.op) {
    case 'SequenceConstruct':
      return { kind: 'list', elements: node.inputs }
    case 'SequenceEmpty':
      return { kind: 'list', elements: [] }
    case 'SequenceInsert':
      return withElements(builder, node, (elements) => inserted(builder, node, elements))
    case 'SequenceErase':
      return withElements(builder, node, (elements) => erased(builder, node, elements))
    case 'SplitToSequence':
      return inPieces(piecesOf(builder, node))
    case 'Identity':
    case 'Optional':
    case 'OptionalGetElement':
      return followSequence(builder, node.inputs[0] ?? '')
    default:
      return undefined
  }
}

function inPieces(pieces: Pieces | undefined): Sequence | undefined {
  return pieces && { kind: 'pieces', pieces }
}

function withElements(
  builder: GraphBuilder,
  node: Node,
  f: (elements: readonly string[]) => readonly string[] | undefined,
): Sequence | undefined {
  const before = followSequence(builder, node.inputs[0] ?? '')
  const elements = before?.kind === 'list' ? f(before.elements) : undefined
  return elements && { kind: 'list', elements }
}

/** The position may be left out: then the tensor goes to the end (SequenceInsert 11). */
function inserted(
  builder: GraphBuilder,
  node: Node,
  elements: readonly string[],
): readonly string[] | undefined {
  const at = positionOf(builder, node.inputs[2] ?? '', elements.length, elements.length)
  return at === undefined || at < 0 || at > elements.length
    ? undefined
    : elements.toSpliced(at, 0, node.inputs[1]!)
}

/** The position may be left out: then the last element goes (SequenceErase 11). */
function erased(
  builder: GraphBuilder,
  node: Node,
  elements: readonly string[],
): readonly string[] | undefined {
  const at = positionOf(builder, node.inputs[1] ?? '', elements.length, elements.length - 1)
  return at === undefined || elements[at] === undefined ? undefined : elements.toSpliced(at, 1)
}

/** A position counted from the start; undefined where it is known at run time only. */
function positionOf(
  builder: GraphBuilder,
  position: string,
  length: number,
  otherwise: number,
): number | undefined {
  if (position === '') return otherwise
  const known = builder.constantsOf(position)?.[0]
  return known === undefined ? undefined : normalizeAxis(known, length)
}

/**
 * SplitToSequence 11 without sizes (pieces of 1), or with one size for all; undefined for a list of sizes. Pieces of 1
 * lose their axis with keepdims 0 also where the size is given: so does ONNX Runtime, and PyTorch's exporter means it.
 */
export function piecesOf(builder: GraphBuilder, node: Node): Pieces | undefined {
  const [of = '', split = ''] = node.inputs
  const axis = axisFrom(builder, node)
  if (axis === undefined || (split !== '' && builder.rank(split) !== 0)) return undefined
  const integers = new Integers(builder)
  const size = split === '' ? 1 : integers.fromScalar(builder.cast(split, 'int64'))
  const drops = intAttribute(node, 'keepdims', 1) === 0
  // of a size that is known at run time alone it is not known whether the axis goes
  if (drops && typeof size === 'string') return undefined
  return { of, axis, size, keepsAxis: !drops || size !== 1 }
}

/** The axis that a SplitToSequence splits, counted from the start. */
export function axisFrom(builder: GraphBuilder, node: Node): number | undefined {
  const axis = intAttribute(node, 'axis', 0)
  const rank = builder.rank(node.inputs[0] ?? '')
  return axis < 0 ? rank && normalizeAxis(axis, rank) : axis
}
