import { stringAttribute } from '../attributes.js'
import { parseEquation } from '../einsum.js'
import type { Dim } from '../graph.js'
import { broadcast } from './dims.js'
import type { ShapeRule } from './rule.js'

/** Einsum 12: each letter has the size of the axes that it names. */
const einsum: ShapeRule = (view) => {
  const { dtype } = view.info(0)
  const shapes = view.node.inputs.flatMap((_, i) => view.shape(i) ?? [])
  const known = view.node.inputs.every((_, i) => view.shape(i) !== undefined)
  const ranks = view.node.inputs.map((_, i) => view.shape(i)?.length ?? 0)
  const equation = known ? parseEquation(stringAttribute(view.node, 'equation', ''), ranks) : undefined
  if (equation === undefined) return [{ dtype, shape: undefined }]
  const letters = equation.operands.join('')
  const size = (letter: string): Dim => {
    const sizes = shapes.filter((_, axis) => letters[axis] === letter).map((dim) => [dim])
    return broadcast(sizes, view.fresh)![0]!
  }
  return [{ dtype, shape: Array.from(equation.result).map(size) }]
}

/** Det 11: one number for each matrix. */
const det: ShapeRule = (view) => [{ dtype: view.info(0).dtype, shape: view.shape(0)?.slice(0, -2) }]

export const CONTRACTION_SHAPES: Readonly<Record<string, ShapeRule>> = { Einsum: einsum, Det: det }
