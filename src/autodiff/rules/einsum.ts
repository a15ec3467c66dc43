import { stringAttribute } from '../../onnx/attributes.js'
import { parseEquation } from '../../onnx/einsum.js'
import type { Equation } from '../../onnx/einsum.js'
import { sumToShape } from '../broadcast.js'
import { RuleRefusal } from '../rule.js'
import type { VjpContext } from '../rule.js'

/**
 * The cotangent of each operand is an Einsum of the result's cotangent and the other operands: 'ab,bc->ac' gives
 * 'ac,bc->ab' (Einsum 12). Letters that only the operand itself has were summed: there the cotangent is repeated. A
 * letter that stands twice in it took a diagonal: the cotangent is put back there.
 */
export function einsumCotangents(c: VjpContext): (string | undefined)[] {
  const text = stringAttribute(c.node, 'equation', '')
  const ranks = c.node.inputs.map((_, i) => c.shape(i).length)
  const equation = parseEquation(text, ranks)
  if (equation === undefined)
    throw new RuleRefusal(`its equation '${text}' does not fit operands of ${ranks.join(', ')} axes`)
  return c.node.inputs.map((_, i) => (c.needs(i) ? cotangent(c, equation, i) : undefined))
}

function cotangent(c: VjpContext, { operands, result }: Equation, index: number): string {
  const own = operands[index]!
  const letters = Array.from(new Set(own)).join('')
  const others = operands.filter((_, i) => i !== index)
  const available = result + others.join('')
  const reached = Array.from(letters)
    .filter((letter) => available.includes(letter))
    .join('')
  const equation = `${[result, ...others].join(',')}->${reached}`
  const inputs = [c.g, ...c.node.inputs.filter((_, i) => i !== index)]
  const product = equation === `${reached}->${reached}` ? c.g : c.builder.add('Einsum', inputs, { equation })
  const repeated = repeatedAlong(c, product, index, letters, reached)
  const placed = onDiagonals(c, repeated, index, letters)
  return sumToShape(c.builder, placed, c.x(index))
}

/**
 * Repeats along the letters that only the operand itself has, and along those that have size 1 in all others (or may
 * have, as far as is known), which ONNX Runtime broadcasts.
 */
function repeatedAlong(
  c: VjpContext,
  value: string,
  index: number,
  letters: string,
  reached: string,
): string {
  const { builder } = c
  const missing = Array.from(letters).flatMap((letter, axis) => (reached.includes(letter) ? [] : [axis]))
  const apart = missing.length === 0 ? value : builder.add('Unsqueeze', [value, builder.integers(missing)])
  const repeated = Array.from(letters).map((letter, axis) => {
    const [from, to] = [builder.shapeOf(apart)?.[axis], c.shape(index)[lettersOf(c, index).indexOf(letter)]]
    return missing.includes(axis) || (from !== to && to !== 1 && (from === 1 || typeof from !== 'number'))
  })
  if (!repeated.includes(true)) return value
  const sizes = Array.from(letters).map((letter, axis) =>
    repeated[axis] === true ? sizeOf(c, index, letter) : builder.integers([1]),
  )
  return builder.add('Expand', [apart, builder.add('Concat', sizes, { axis: 0 })])
}

function sizeOf(c: VjpContext, index: number, letter: string): string {
  return c.builder.sizes(c.x(index), [lettersOf(c, index).indexOf(letter)])
}

function lettersOf(c: VjpContext, index: number): string {
  const ranks = c.node.inputs.map((_, i) => c.shape(i).length)
  return parseEquation(stringAttribute(c.node, 'equation', ''), ranks)!.operands[index]!
}

/** From one axis for each letter to the operand's axes: zeros off the diagonals of letters that stand twice. */
function onDiagonals(c: VjpContext, value: string, index: number, letters: string): string {
  const own = lettersOf(c, index)
  if (own === letters) return value
  const { builder } = c
  const first = Array.from(own).map((letter, axis) => own.indexOf(letter) === axis)
  const added = first.flatMap((isFirst, axis) => (isFirst ? [] : [axis]))
  const apart = builder.add('Unsqueeze', [value, builder.integers(added)])
  return added.reduce((masked, axis) => {
    const mask = equalIndices(c, index, own.indexOf(own[axis]!), axis)
    return builder.mul(masked, builder.cast(mask, builder.dtype(c.g)))
  }, apart)
}

/** Where the indices along two axes of an operand are equal, with axes of size 1 elsewhere. */
function equalIndices(c: VjpContext, index: number, one: number, other: number): string {
  const { builder } = c
  const rank = c.shape(index).length
  const size = builder.add('Squeeze', [builder.sizes(c.x(index), [one]), builder.integers([0])])
  const along = builder.add('Range', [builder.scalar(0, 'int64'), size, builder.scalar(1, 'int64')])
  const at = (axis: number): string => {
    const around = Array.from({ length: rank }, (_, i) => i).filter((i) => i !== axis)
    return builder.add('Unsqueeze', [along, builder.integers(around)])
  }
  return builder.add('Equal', [at(one), at(other)])
}
