/** The colours of figures on white. Each is used for one thing, so that a theme is a table of colours. */
export const LIGHT = {
  background: '#ffffff',
  ink: '#1d232b',
  muted: '#59636f',
  rule: '#c8cdd5',
  grid: '#eceef2',
  helps: '#2268ad',
  hurts: '#c4472c',
  faint: '#b3bac4',
} as const

/** The same on dark. */
const DARK: Readonly<Record<keyof typeof LIGHT, string>> = {
  background: '#15181d',
  ink: '#e5e8ed',
  muted: '#a0a9b6',
  rule: '#454d58',
  grid: '#262b33',
  helps: '#6fb1f2',
  hurts: '#f58a6a',
  faint: '#5d6774',
}

/** Loss change, from what helps most over zero to what hurts most: blue and vermilion stay apart for all eyes. */
export const DIVERGING = [
  '#11477f',
  '#3a81bd',
  '#a3c9e3',
  '#f4f4f3',
  '#f4b699',
  '#d65c3a',
  '#941e12',
] as const
const DIVERGING_DARK = ['#a5d3ff', '#4a9ae6', '#1f5387', '#1e232a', '#7b3423', '#e0663f', '#ffbb9c'] as const

/** Counts, from one to many. */
export const SEQUENTIAL = ['#b9c3d3', '#7f86bd', '#5a4496', '#2f1460'] as const
const SEQUENTIAL_DARK = ['#414a5c', '#6f70b4', '#ab8bdd', '#f0d8ff'] as const

/** Splits in the run's order: training data first. Neither is a colour of helping or hurting. */
export const SPLITS = ['#3c4652', '#b87400', '#0c8672', '#8a4db3', '#a23f6b'] as const
const SPLITS_DARK = ['#cfd6df', '#e8b34a', '#43c4ac', '#c197ea', '#ec94b9'] as const

/** Lines that are told apart by their colour. */
export const LINES = ['#1c6cb1', '#c54c19', '#14835f', '#8d4fa3', '#9a6b00', '#1787a8', '#bb4f80'] as const
const LINES_DARK = ['#68b0f5', '#fa8c5c', '#4cc79c', '#cb93e0', '#dcae3f', '#5cc8e6', '#f093bb'] as const

/** The colour on dark of each colour on white. */
export const DARK_OF: ReadonlyMap<string, string> = new Map([
  ...Object.entries(LIGHT).map(([name, color]): [string, string] => [
    color,
    DARK[name as keyof typeof LIGHT],
  ]),
  ...paired(DIVERGING, DIVERGING_DARK),
  ...paired(SEQUENTIAL, SEQUENTIAL_DARK),
  ...paired(SPLITS, SPLITS_DARK),
  ...paired(LINES, LINES_DARK),
])

function paired(light: readonly string[], dark: readonly string[]): [string, string][] {
  return light.map((color, i) => [color, dark[i]!])
}

/**
 * A specification (Vega or Vega-Lite) in the colours on dark. Data are left alone: a layer that is named like a colour
 * stays what it is.
 */
export function darkened<T>(specification: T): T {
  return recolored(specification) as T
}

function recolored(node: unknown): unknown {
  if (typeof node === 'string') return DARK_OF.get(node) ?? node
  if (Array.isArray(node)) return node.map(recolored)
  if (typeof node !== 'object' || node === null) return node
  return Object.fromEntries(
    Object.entries(node).map(([key, value]) => [key, HOLDS_DATA.has(key) ? value : recolored(value)]),
  )
}

/** Keys under which names from files may stand. */
const HOLDS_DATA = new Set(['values', 'domain', 'bind', 'description'])
