import { intsAttribute } from '../attributes.js'
import type { Dim } from '../graph.js'
import type { NodeView } from '../infer.js'
import { normalizeAxis } from './dims.js'
import { sliceBounds } from './slice.js'

/** Small integers in two dimensions, row by row; an element is undefined where it is unknown. */
export type Rows = readonly (readonly (Dim | undefined)[])[]

/**
 * Operators through which small integers are followed while they have two dimensions. PyTorch's older exporter turns
 * the pads of F.pad round so: begins and ends of the last axis first become rows of two, are reversed, transposed and
 * made a list again.
 */
export const MATRIX_RULES: Readonly<Record<string, (view: NodeView) => Rows | undefined>> = {
  Reshape: (view) => {
    const [list, shape] = [view.integers(0), view.constants(1)]
    if (list === undefined || shape?.length !== 2) return undefined
    const [rows, columns] = shape as [number, number]
    const width = columns > 0 ? columns : rows > 0 ? list.length / rows : 0
    if (!Number.isInteger(width) || width === 0 || list.length % width !== 0) return undefined
    return Array.from({ length: list.length / width }, (_, i) => list.slice(i * width, (i + 1) * width))
  },
  Slice: (view) => {
    const rows = view.rows(0)
    const [start, end, axis] = [1, 2, 3].map((input) => view.constants(input))
    const step = (view.node.inputs[4] ?? '') === '' ? [1] : view.constants(4)
    if (rows === undefined || axis?.length !== 1 || normalizeAxis(axis[0]!, 2) !== 0) return undefined
    if (start?.length !== 1 || end?.length !== 1 || step?.length !== 1 || step[0] === 0) return undefined
    const [from, to] = sliceBounds(rows.length, start[0]!, end[0]!, step[0]!)
    const by = step[0]!
    return Array.from({ length: Math.max(0, Math.ceil((to - from) / by)) }, (_, i) => rows[from + i * by]!)
  },
  Transpose: (view) => {
    const rows = view.rows(0)
    const order = intsAttribute(view.node, 'perm') ?? [1, 0]
    if (rows === undefined || order[0] === 0) return rows
    return (rows[0] ?? []).map((_, column) => rows.map((row) => row[column]))
  },
  Identity: (view) => view.rows(0),
  // the places of what is not 0 in a list are one row (NonZero 13)
  NonZero: (view) => {
    const list = view.shape(0)?.length === 1 ? view.constants(0) : undefined
    return list && [list.flatMap((number, i) => (number === 0 ? [] : [i]))]
  },
}
