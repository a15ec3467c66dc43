import type { DType } from '../../tensor.js'
import { intAttribute } from '../attributes.js'
import { dtypeOf } from '../dtypes.js'
import type { Dim } from '../graph.js'
import type { NodeView } from '../infer.js'
import { normalizeAxis, product, quotient } from './dims.js'

type Values = readonly (Dim | undefined)[]
type ValueRule = (view: NodeView) => Values | undefined

/** Operators whose small integer results are followed: the arithmetic of shapes. */
export const VALUE_RULES: Readonly<Record<string, ValueRule>> = {
  Shape: (view) => {
    const shape = view.shape(0)
    if (shape === undefined) return undefined
    const end = intAttribute(view.node, 'end', shape.length)
    return shape.slice(intAttribute(view.node, 'start', 0), end)
  },
  Size: (view) => {
    const shape = view.shape(0)
    return shape && [product(shape)]
  },
  Identity: (view) => view.integers(0),
  Cast: (view) => (isInteger(dtypeOf(intAttribute(view.node, 'to', 0))) ? view.integers(0) : undefined),
  Squeeze: (view) => view.integers(0),
  Unsqueeze: (view) => view.integers(0),
  Reshape: (view) => view.integers(0),
  Concat: (view) => {
    const parts = view.node.inputs.map((_, i) => view.integers(i))
    return parts.every((part) => part !== undefined) ? parts.flat() : undefined
  },
  Gather: (view) => {
    const data = view.integers(0)
    return data && view.constants(1)?.map((index) => data[normalizeAxis(index, data.length)])
  },
  Slice: (view) => {
    const data = view.integers(0)
    const [start, end] = [view.constants(1)?.[0], view.constants(2)?.[0]]
    const step = (view.node.inputs[4] ?? '') === '' ? 1 : view.constants(4)?.[0]
    if (data === undefined || start === undefined || end === undefined || step !== 1) return undefined
    return data.slice(start, end)
  },
  Add: (view) => combine(view, (a, b) => (a === 0 ? b : b === 0 ? a : numeric(a, b, (x, y) => x + y))),
  Sub: (view) => combine(view, (a, b) => (b === 0 ? a : numeric(a, b, (x, y) => x - y))),
  Mul: (view) => combine(view, (a, b) => product([a, b])),
  // the sign of the divisor, or with fmod that of the dividend (Mod 13)
  Mod: (view) => {
    const fmod = intAttribute(view.node, 'fmod', 0) === 1
    return combine(view, (a, b) => numeric(a, b, (x, y) => (fmod ? x % y : x - y * Math.floor(x / y))))
  },
  Div: (view) => combine(view, (a, b) => quotient(a, b) ?? numeric(a, b, (x, y) => Math.trunc(x / y))),
}

function isInteger(dtype: DType | undefined): boolean {
  return dtype === 'int64' || dtype === 'int32'
}

function numeric(a: Dim, b: Dim, f: (a: number, b: number) => number): Dim | undefined {
  const result = typeof a === 'number' && typeof b === 'number' ? f(a, b) : undefined
  return Number.isSafeInteger(result) ? result : undefined
}

function combine(view: NodeView, f: (a: Dim, b: Dim) => Dim | undefined): Values | undefined {
  const [a, b] = [view.integers(0), view.integers(1)]
  if (a === undefined || b === undefined || (a.length !== b.length && a.length !== 1 && b.length !== 1))
    return undefined
  return Array.from({ length: Math.max(a.length, b.length) }, (_, i) => {
    const [x, y] = [a[a.length === 1 ? 0 : i], b[b.length === 1 ? 0 : i]]
    return x === undefined || y === undefined ? undefined : f(x, y)
  })
}
