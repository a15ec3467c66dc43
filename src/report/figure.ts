import type { Config, TopLevelSpec } from 'vega-lite'
import type { FigureName, RunAnalysis } from '../analysis/model.js'
import { LIGHT, SPLITS } from './palette.js'
import type { Bins } from './reduce.js'

/** What a figure shows and how to read it. Texts are plain: names in them are not escaped. */
interface Described {
  readonly name: FigureName
  readonly title: string
  /** One or two sentences. */
  readonly reading: string
}

export interface Figure extends Described {
  /** What it shows of this run, in words, for those who don't see it. */
  readonly description: string
  /** What was left out or joined, one sentence each. */
  readonly notes: readonly string[]
  /** Vega-Lite 6, data inline. Names from files occur only as data. */
  readonly spec: TopLevelSpec
}

/** One of the marks that lie on each other in a figure. */
export type Layer = Extract<TopLevelSpec, { layer: unknown }>['layer'][number]
export type Transform = NonNullable<TopLevelSpec['transform']>[number]
export type Encoding = NonNullable<Extract<Layer, { mark: unknown }>['encoding']>

/** A figure that the run has no data for. */
export interface AbsentFigure extends Described {
  readonly absent: string
}

export type MakeFigure = (run: RunAnalysis) => Figure | AbsentFigure

export function isDrawn(figure: Figure | AbsentFigure): figure is Figure {
  return 'spec' in figure
}

/** Width of a figure that stands alone, in pixels; on a page figures are as wide as the page lets them. */
export const WIDTH = 720

/** Fonts that a picture in a paper may name. */
export const FONT = 'Helvetica Neue, Helvetica, Arial, sans-serif'

const CONFIG: Config = {
  font: FONT,
  view: { stroke: null },
  axis: {
    domainColor: LIGHT.rule,
    tickColor: LIGHT.rule,
    gridColor: LIGHT.grid,
    labelColor: LIGHT.muted,
    titleColor: LIGHT.muted,
    titleFontWeight: 'normal',
    titleFontSize: 12,
    labelFontSize: 11,
    titlePadding: 10,
    labelPadding: 5,
    tickSize: 4,
  },
  axisY: { domain: false, ticks: false },
  axisX: { grid: false },
  legend: {
    orient: 'top',
    labelColor: LIGHT.ink,
    titleColor: LIGHT.muted,
    titleFontWeight: 'normal',
    titleFontSize: 12,
    labelFontSize: 12,
    labelLimit: 150,
    symbolStrokeWidth: 2,
    rowPadding: 4,
    columnPadding: 16,
    padding: 0,
    offset: 12,
  },
  header: { labelColor: LIGHT.ink, titleColor: LIGHT.muted },
}

/** What every figure has. */
export const COMMON = {
  $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
  background: LIGHT.background,
  padding: 8,
  width: WIDTH,
  config: CONFIG,
} as const

/**
 * The width that there is for a figure, as an expression: that of its container on a page, and its own elsewhere. The plot's
 * alone won't do, which is what is left beside labels whose length follows from it.
 */
const ROOM = '(containerSize()[0] || width)'

/** How many columns a legend has room for. */
export function legendColumns(each: number): { expr: string } {
  return { expr: `max(1, floor(${ROOM} / ${each}))` }
}

/** Steps from here on are written in thousands. */
const MANY_STEPS = 10_000

/** The axis of steps; nothing is gained by a scale that starts at zero. */
export function stepAxis({ facts }: RunAnalysis) {
  return {
    type: 'quantitative',
    title: facts.stepUnit,
    scale: { zero: false, nice: false, padding: 0 },
    axis: {
      tickMinStep: 1,
      tickCount: { expr: `max(2, floor(${ROOM} / 70))` },
      labelFlush: true,
      labelOverlap: true,
      ...(facts.steps.at(-1)! >= MANY_STEPS ? { format: '~s' } : {}),
    },
  } as const
}

/**
 * An expression for a label of at most so many characters. What is left out is in the middle: names of layers differ in
 * their ends.
 */
export function shortened(characters: string): string {
  const label = 'datum.label'
  return `length(${label}) > ${characters} ? slice(${label}, 0, 2) + '…' + slice(${label}, 3 - ${characters}) : ${label}`
}

/** Characters that a layer's name has room for. */
const NAME_CHARACTERS = `floor(max(72, min(192, ${ROOM} / 3)) / 6)`

/** Layers from top to bottom in the order of field `order`. */
export const LAYER_AXIS = {
  field: 'layer',
  type: 'nominal',
  title: null,
  sort: { field: 'order', op: 'min' },
  axis: { labelExpr: shortened(NAME_CHARACTERS), labelLimit: 240, labelColor: LIGHT.ink, grid: false },
} as const

/** Height of the rows of a figure, in pixels: what makes a good figure of many, or what one needs to be read. */
export function rowHeight(rows: number, most = 24, least = 13): number {
  return Math.round(Math.max(least, Math.min(most, 480 / Math.max(1, rows))))
}

/** A color for each split. */
export function splitColor({ splits }: RunAnalysis) {
  return {
    field: 'split',
    type: 'nominal',
    title: null,
    scale: {
      domain: splits.map(({ split }) => split),
      range: splits.map((_, i) => SPLITS[i % SPLITS.length]!),
    },
  } as const
}

/** A value that the reader of a figure chooses: a number, by the place of its label. */
export function choice(name: string, title: string, labels: readonly string[]) {
  return {
    name,
    value: 0,
    bind: {
      input: 'select',
      name: `${title} `,
      options: labels.map((_, i) => i),
      labels: [...labels],
    },
  } as const
}

/** The choice of a split by its place in the run, which rows have in field `place`. */
export function splitChoice({ splits }: RunAnalysis) {
  return choice(
    'split',
    'Data set',
    splits.map(({ split }) => split),
  )
}

export const OF_CHOSEN_SPLIT = { filter: 'datum.place === split' } as const

/** The steps at which bins start and end, for `spreadOverBins`. */
export function binParameters({ from, to }: Pick<Bins, 'from' | 'to'>) {
  return [
    { name: 'starts', value: [...from] },
    { name: 'ends', value: [...to] },
  ]
}

/**
 * Rows that hold a list, one value for each bin, as one row for each value, with the steps `from` and `to` of its bin. Lists
 * take a fraction of the room.
 * @param groupby the fields that tell such rows apart
 */
export function spreadOverBins(list: string, groupby: readonly string[]): Transform[] {
  return [
    { flatten: [list] },
    { window: [{ op: 'row_number', as: 'bin' }], groupby: [...groupby] },
    { calculate: 'starts[datum.bin - 1]', as: 'from' },
    { calculate: 'ends[datum.bin - 1]', as: 'to' },
  ]
}

/** The note on bins of intervals, where there are any. */
export function binNote(
  bins: { readonly joined: boolean; readonly from: readonly number[] },
  how: string,
): string[] {
  return bins.joined ? [`Neighbouring intervals are joined to ${bins.from.length} bins: ${how}.`] : []
}
