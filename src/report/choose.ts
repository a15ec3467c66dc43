import type { GroupAnalysis } from '../analysis/model.js'
import { sum } from './reduce.js'

/** A layer as a figure draws it: one of the run's, or the sum of those that are not drawn singly. */
export interface DrawnLayer {
  readonly name: string
  /** Place from top to bottom: the network's order, the sum of others last. */
  readonly order: number
  readonly parameters: number
  readonly lca: Float64Array
  readonly total: { readonly value: number; readonly low: number; readonly high: number }
  readonly firstOrderTotal: number
  readonly hurtIn: number
  /** Number of layers that it stands for. */
  readonly count: number
}

/** Layers that are drawn singly: more can't be told apart. */
export const MOST_LAYERS = 40

/** The names of the layers to draw singly: those that moved the loss most, in the network's order. */
export function chooseLayers(layers: readonly GroupAnalysis[], most = MOST_LAYERS): readonly string[] {
  if (layers.length <= most) return layers.map(({ name }) => name)
  const moved = new Map(layers.map(({ name, lca }) => [name, sum(lca.map(Math.abs))]))
  const chosen = [...layers].sort((a, b) => moved.get(b.name)! - moved.get(a.name)!).slice(0, most)
  const names = new Set(chosen.map(({ name }) => name))
  return layers.map(({ name }) => name).filter((name) => names.has(name))
}

/** The chosen layers, and the sum of all others as one more; how uncertain the sum is, is not known. */
export function drawnLayers(layers: readonly GroupAnalysis[], chosen: readonly string[]): DrawnLayer[] {
  const byName = new Map(layers.map((layer) => [layer.name, layer]))
  const drawn = chosen.flatMap((name, order): DrawnLayer[] => {
    const layer = byName.get(name)
    return layer === undefined ? [] : [{ ...layer, order, count: 1 }]
  })
  const names = new Set(chosen)
  const others = layers.filter(({ name }) => !names.has(name))
  return others.length === 0 ? drawn : [...drawn, together(others, chosen)]
}

function together(others: readonly GroupAnalysis[], chosen: readonly string[]): DrawnLayer {
  const lca = others[0]!.lca.map((_, t) => sum(others.map((layer) => layer.lca[t]!)))
  let name = `${others.length} other layers`
  while (chosen.includes(name)) name = `(${name})`
  return {
    name,
    order: chosen.length,
    parameters: sum(others.map(({ parameters }) => parameters)),
    lca,
    total: { value: sum(others.map(({ total }) => total.value)), low: NaN, high: NaN },
    firstOrderTotal: sum(others.map(({ firstOrderTotal }) => firstOrderTotal)),
    hurtIn: lca.filter((value) => value > 0).length,
    count: others.length,
  }
}

/** What a figure says of the layers that it does not draw singly. */
export function layerNote(layers: readonly unknown[], chosen: readonly string[]): string[] {
  if (layers.length <= chosen.length) return []
  return [`The ${chosen.length} of ${layers.length} layers that moved the loss most are drawn singly.`]
}
