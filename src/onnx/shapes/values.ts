import { isFloat } from '../../tensor.js'
import type { DType } from '../../tensor.js'
import { intAttribute } from '../attributes.js'
import { dtypeOf } from '../dtypes.js'
import type { Dim } from '../graph.js'
import type { NodeView } from '../infer.js'
import { integersOf, readInitializer } from '../tensors.js'
import { normalizeAxis, product, quotient } from './dims.js'
import { sliceBounds } from './slice.js'

type Value = Dim | undefined
type Values = readonly Value[]
type ValueRule = (view: NodeView) => Values | undefined

/** Lists longer than this are no shapes. */
const LARGEST_LIST = 64

/** Rules for integers and truth values, which are 1 and 0. */
const ARITHMETIC: Readonly<Record<string, ValueRule>> = {
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
  Concat: (view) => {
    const parts = view.node.inputs.map((_, i) => view.integers(i))
    return parts.every((part) => part !== undefined) ? parts.flat() : undefined
  },
  Gather: (view) => {
    const data = view.integers(0)
    return data && view.constants(1)?.map((index) => data[normalizeAxis(index, data.length)])
  },
  GatherElements: (view) => {
    const data = view.integers(0)
    return data && view.constants(1)?.map((index) => data[normalizeAxis(index, data.length)])
  },
  Slice: (view) => {
    const data = view.integers(0)
    const [start, end] = [view.constants(1)?.[0], view.constants(2)?.[0]]
    const step = (view.node.inputs[4] ?? '') === '' ? 1 : view.constants(4)?.[0]
    if (data === undefined || start === undefined || end === undefined || step === undefined) return undefined
    return steppedSlice(data, start, end, step)
  },
  ScatterElements: (view) => {
    const [data, places, updates] = [view.integers(0), view.constants(1), view.integers(2)]
    if (data === undefined || places === undefined || updates === undefined) return undefined
    if (view.node.attributes.has('reduction')) return undefined
    const result = [...data]
    places.forEach((place, i) => (result[normalizeAxis(place, data.length)] = updates[i]))
    return result
  },
  Range: (view) => {
    const [start, limit, delta] = [0, 1, 2].map((input) => view.constants(input)?.[0])
    if (start === undefined || limit === undefined || delta === undefined || delta === 0) return undefined
    const count = Math.max(0, Math.ceil((limit - start) / delta))
    return count > LARGEST_LIST ? undefined : Array.from({ length: count }, (_, i) => start + i * delta)
  },
  ConstantOfShape: (view) => {
    const count = view.constants(0)
    const tensor = view.node.attributes.get('value')?.t
    if (count?.length !== 1 || count[0]! > LARGEST_LIST || tensor === undefined) return undefined
    const [value] = integersOf(readInitializer(tensor, 'ConstantOfShape')) ?? []
    return value === undefined ? undefined : repeated(value, count[0]!)
  },
  Expand: (view) => {
    const [data, shape] = [view.integers(0), view.constants(1)]
    if (data === undefined || shape?.length !== 1 || shape[0]! > LARGEST_LIST) return undefined
    return data.length === 1 ? repeated(data[0], shape[0]!) : data
  },
  Tile: (view) => {
    const [data, repeats] = [view.integers(0), view.constants(1)]
    if (data === undefined || repeats?.length !== 1 || repeats[0]! > LARGEST_LIST) return undefined
    return repeated(data, repeats[0]!).flat()
  },
  Neg: (view) => view.integers(0)?.map((a) => (typeof a === 'number' ? 0 - a : undefined)),
  Abs: (view) => view.integers(0)?.map((a) => (typeof a === 'number' ? Math.abs(a) : a)),
  Add: (view) => combine(view, (a, b) => (a === 0 ? b : b === 0 ? a : numeric(a, b, (x, y) => x + y))),
  Sub: (view) => combine(view, (a, b) => (b === 0 ? a : a === b ? 0 : numeric(a, b, (x, y) => x - y))),
  Mul: (view) => combine(view, (a, b) => product([a, b])),
  // the sign of the divisor, or with fmod that of the dividend (Mod 13)
  Mod: (view) => {
    const fmod = intAttribute(view.node, 'fmod', 0) === 1
    return combine(view, (a, b) => numeric(a, b, (x, y) => (fmod ? x % y : x - y * Math.floor(x / y))))
  },
  Div: (view) => combine(view, (a, b) => quotient(a, b) ?? numeric(a, b, (x, y) => Math.trunc(x / y))),
  Min: (view) => combineAll(view, (a, b) => (a === b ? a : numeric(a, b, Math.min))),
  Max: (view) => combineAll(view, (a, b) => (a === b ? a : numeric(a, b, Math.max))),
  Equal: (view) => combine(view, equal),
  Greater: (view) => combine(view, (a, b) => compared(a, b, (x, y) => x > y)),
  GreaterOrEqual: (view) => combine(view, (a, b) => compared(a, b, (x, y) => x >= y)),
  Less: (view) => combine(view, (a, b) => compared(a, b, (x, y) => x < y)),
  LessOrEqual: (view) => combine(view, (a, b) => compared(a, b, (x, y) => x <= y)),
  And: (view) => combine(view, (a, b) => numeric(a, b, (x, y) => x * y)),
  Or: (view) => combine(view, (a, b) => numeric(a, b, Math.max)),
  Not: (view) => view.integers(0)?.map((a) => (typeof a === 'number' ? 1 - a : undefined)),
  Where: (view) =>
    aligned([0, 1, 2].map((input) => view.integers(input)))?.map(([condition, a, b]) => {
      if (condition === undefined) return a === b ? a : undefined
      return condition === 1 ? a : b
    }),
  ReduceProd: (view) => whole(view, (a, b) => product([a, b])),
  ReduceSum: (view) => whole(view, (a, b) => (a === 0 ? b : numeric(a, b, (x, y) => x + y))),
  ReduceMax: (view) => whole(view, (a, b) => (a === b ? a : numeric(a, b, Math.max))),
  ReduceMin: (view) => whole(view, (a, b) => (a === b ? a : numeric(a, b, Math.min))),
}

/** Rules that only hand numbers on: of real constants, too, that happen to be whole. */
const PASSING: Readonly<Record<string, ValueRule>> = {
  Identity: (view) => view.integers(0),
  Cast: (view) => (isInteger(dtypeOf(intAttribute(view.node, 'to', 0))) ? view.integers(0) : undefined),
  CastLike: (view) => (isInteger(view.info(1).dtype) ? view.integers(0) : undefined),
  Squeeze: (view) => view.integers(0),
  Unsqueeze: (view) => view.integers(0),
  Reshape: (view) => view.integers(0) ?? view.rows(0)?.flat(),
  Flatten: (view) => view.integers(0),
}

/** Operators whose small integer results are followed: the arithmetic of shapes. */
export const VALUE_RULES: Readonly<Record<string, ValueRule>> = {
  ...PASSING,
  ...Object.fromEntries(Object.entries(ARITHMETIC).map(([op, rule]) => [op, unlessReal(rule)])),
}

/** Real numbers are divided and rounded otherwise: nothing is claimed of them. */
function unlessReal(rule: ValueRule): ValueRule {
  return (view) => {
    const real = view.node.inputs.some((_, input) => {
      const { dtype } = view.info(input)
      return dtype !== undefined && isFloat(dtype) && view.integers(input) !== undefined
    })
    return real ? undefined : rule(view)
  }
}

function isInteger(dtype: DType | undefined): boolean {
  return dtype === 'int64' || dtype === 'int32'
}

function numeric(a: Dim, b: Dim, f: (a: number, b: number) => number): Dim | undefined {
  const result = typeof a === 'number' && typeof b === 'number' ? f(a, b) : undefined
  // 0 for -0, which is no integer
  return Number.isSafeInteger(result) ? result! + 0 : undefined
}

/** A symbol is a size: never negative, and equal to itself. */
function equal(a: Dim, b: Dim): Dim | undefined {
  if (a === b) return 1
  const [symbol, number] = typeof a === 'string' ? [a, b] : [b, a]
  if (typeof symbol === 'number') return 0
  return typeof number === 'number' && number < 0 ? 0 : undefined
}

function compared(a: Dim, b: Dim, f: (a: number, b: number) => boolean): Dim | undefined {
  return numeric(a, b, (x, y) => (f(x, y) ? 1 : 0))
}

function combine(view: NodeView, f: (a: Dim, b: Dim) => Dim | undefined): Values | undefined {
  return aligned([view.integers(0), view.integers(1)])?.map(([a, b]) =>
    a === undefined || b === undefined ? undefined : f(a, b),
  )
}

/** The same over any number of inputs. */
function combineAll(view: NodeView, f: (a: Dim, b: Dim) => Dim | undefined): Values | undefined {
  return aligned(view.node.inputs.map((_, input) => view.integers(input)))?.map((row) => folded(row, f))
}

/** The elements of lists side by side; one of a single element goes with all of another. */
function aligned(lists: readonly (Values | undefined)[]): (readonly Value[])[] | undefined {
  const known = lists.filter((list) => list !== undefined)
  if (known.length < lists.length) return undefined
  const count = known.reduce((length, list) => (length === 1 ? list.length : length), 1)
  if (known.some(({ length }) => length !== count && length !== 1)) return undefined
  return Array.from({ length: count }, (_, i) => known.map((list) => list[list.length === 1 ? 0 : i]))
}

function folded(row: readonly Value[], f: (a: Dim, b: Dim) => Dim | undefined): Value {
  return row.reduce((a, b) => (a === undefined || b === undefined ? undefined : f(a, b)))
}

/** A reduction of a whole list to one number. */
function whole(view: NodeView, f: (a: Dim, b: Dim) => Dim | undefined): Values | undefined {
  const list = view.integers(0)
  if (list === undefined || list.length === 0 || view.shape(0)?.length !== 1) return undefined
  const axes = (view.node.inputs[1] ?? '') === '' ? [] : view.constants(1)
  const all =
    axes?.length === 1 || (axes?.length === 0 && intAttribute(view.node, 'noop_with_empty_axes', 0) === 0)
  return all ? [folded(list, f)] : undefined
}

/** Slice's own bounds: clamped, and backwards with a negative step. */
function steppedSlice(data: Values, start: number, end: number, step: number): Values {
  const [from, to] = sliceBounds(data.length, start, end, step)
  const result: Value[] = []
  for (let at = from; step > 0 ? at < to : at > to; at += step) result.push(data[at])
  return result
}

function repeated<T>(value: T, count: number): T[] {
  return Array.from({ length: count }, () => value)
}
