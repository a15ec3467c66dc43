import type { Dim, Shape } from '../graph.js'

/** The size of a dimension as `n * symbols`: 6 is {6, []}, '4*batch*time' is {4, [batch, time]}. */
interface Monomial {
  readonly factor: number
  readonly symbols: readonly string[]
}

function monomial(dim: Dim): Monomial {
  if (typeof dim === 'number') return { factor: dim, symbols: [] }
  const parts = dim.split('*')
  const factor = /^\d+$/.test(parts[0]!) ? Number(parts[0]) : 1
  return { factor, symbols: (factor === 1 && parts[0] !== '1' ? parts : parts.slice(1)).sort() }
}

function fromMonomial({ factor, symbols }: Monomial): Dim {
  if (factor === 0 || symbols.length === 0) return factor
  return (factor === 1 ? symbols : [factor, ...symbols]).join('*')
}

/** More axes than any network has; a shape that claims more is not followed. */
export const LARGEST_RANK = 64

/** The product of dimensions; symbols multiply into a symbol of its own ('32*batch'), equal for equal factors. */
export function product(dims: readonly Dim[]): Dim {
  const factors = dims.map(monomial)
  return fromMonomial({
    factor: factors.reduce((all, { factor }) => all * factor, 1),
    symbols: factors.flatMap(({ symbols }) => symbols).sort(),
  })
}

/** a / b where it divides exactly whatever the symbols stand for, else undefined. */
export function quotient(a: Dim, b: Dim): Dim | undefined {
  const [numerator, denominator] = [monomial(a), monomial(b)]
  if (denominator.factor === 0 || numerator.factor % denominator.factor !== 0) return undefined
  const symbols = [...numerator.symbols]
  for (const symbol of denominator.symbols) {
    const at = symbols.indexOf(symbol)
    if (at < 0) return undefined
    symbols.splice(at, 1)
  }
  return fromMonomial({ factor: numerator.factor / denominator.factor, symbols })
}

/** Whether two shapes are known to be equal, symbol by symbol. */
export function sameShape(a: Shape | undefined, b: Shape | undefined): boolean {
  return a !== undefined && b !== undefined && a.length === b.length && a.every((dim, i) => dim === b[i])
}

/** All sizes as numbers, or undefined where one is a symbol. */
export function staticShape(shape: Shape | undefined): number[] | undefined {
  return shape?.every((dim) => typeof dim === 'number') ? [...shape] : undefined
}

/** An axis counted from the start; negative ones count from the end (ONNX convention). */
export function normalizeAxis(axis: number, rank: number): number {
  return axis < 0 ? axis + rank : axis
}

/**
 * The shape that numpy-style broadcasting gives (ONNX Broadcasting). A symbol against 1 is the symbol; two different
 * symbols, or a symbol against a number other than 1, give the number or a fresh symbol. Undefined for unknown ranks.
 */
export function broadcast(shapes: readonly (Shape | undefined)[], fresh: () => Dim): Shape | undefined {
  if (shapes.some((shape) => shape === undefined)) return undefined
  const known = shapes as readonly Shape[]
  const rank = Math.max(...known.map((shape) => shape.length))
  return Array.from({ length: rank }, (_, axis) =>
    broadcastDims(
      known.map((shape) => shape[axis - rank + shape.length] ?? 1),
      fresh,
    ),
  )
}

function broadcastDims(dims: readonly Dim[], fresh: () => Dim): Dim {
  const large = dims.find((dim) => typeof dim === 'number' && dim !== 1)
  if (large !== undefined) return large
  const symbols = new Set(dims.filter((dim) => dim !== 1))
  if (symbols.size === 0) return 1
  return symbols.size === 1 ? [...symbols][0]! : fresh()
}
