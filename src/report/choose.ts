import type { GroupAnalysis, SplitAnalysis } from '../analysis/model.js'
import { sum } from './reduce.js'
import { signed } from './text.js'

/** A layer that a figure draws, with its place from top to bottom. */
export type DrawnLayer = GroupAnalysis & { readonly order: number }

/** Layers that are drawn: more can't be told apart. */
export const MOST_LAYERS = 40

/** The names of the layers to draw: those that moved the loss most, in the network's order. */
export function chooseLayers(layers: readonly GroupAnalysis[], most = MOST_LAYERS): readonly string[] {
  if (layers.length <= most) return layers.map(({ name }) => name)
  const moved = new Map(layers.map(({ name, lca }) => [name, sum(lca.map(Math.abs))]))
  const chosen = [...layers].sort((a, b) => moved.get(b.name)! - moved.get(a.name)!).slice(0, most)
  const names = new Set(chosen.map(({ name }) => name))
  return layers.map(({ name }) => name).filter((name) => names.has(name))
}

export function drawnLayers(layers: readonly GroupAnalysis[], chosen: readonly string[]): DrawnLayer[] {
  const byName = new Map(layers.map((layer) => [layer.name, layer]))
  return chosen.flatMap((name, order) => {
    const layer = byName.get(name)
    return layer === undefined ? [] : [{ ...layer, order }]
  })
}

/** What a figure says of the layers that it does not draw. */
export function layerNote(splits: readonly SplitAnalysis[], chosen: readonly string[]): string[] {
  const all = splits[0]!.layers.length
  if (all <= chosen.length) return []
  const names = new Set(chosen)
  const others = splits.map(({ split, layers }) => {
    const totals = layers.filter(({ name }) => !names.has(name)).map(({ total }) => total.value)
    return `${signed(sum(totals))} on ${split}`
  })
  return [
    `The ${chosen.length} of ${all} layers that moved the loss most are drawn; the others together changed it by ${others.join(', ')}.`,
  ]
}
