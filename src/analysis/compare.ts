import { meanOf } from './groups.js'
import type { Estimate, Finding, GroupAnalysis, RunAnalysis, SplitAnalysis } from './model.js'
import { BlockBootstrap, sumOf, within } from './statistics/blocks.js'
import { holm } from './statistics/holm.js'
import { studentQuantile, studentTwoSided } from './statistics/student.js'

export const ALIGNMENTS = ['step', 'loss'] as const
/** What runs are aligned by: the steps that all have, or the losses that all went through. */
export type Alignment = (typeof ALIGNMENTS)[number]

/** Levels of the table that follows the runs. */
const LEVELS = 8

/** Several runs side by side on one split, over what they have in common. Losses and LCA are in units of the loss. */
export interface Comparison {
  readonly split: string
  readonly by: Alignment
  /** The common range: steps, or losses; by loss `from` is the higher one. */
  readonly from: number
  readonly to: number
  readonly stepUnit: string
  readonly runs: readonly ComparedRun[]
  /** All layers of all runs, in the order of the first run that has them. */
  readonly layers: readonly ComparedLayer[]
  /** The runs at levels of the common range. */
  readonly levels: readonly ComparedLevel[]
}

export interface ComparedRun {
  readonly name: string
  /** Intervals within the common range: from the first, up to but without the last. */
  readonly intervals: { readonly from: number; readonly to: number }
  readonly steps: { readonly from: number; readonly to: number }
  readonly losses: { readonly from: number; readonly to: number }
  readonly largestResidual: number
  /** Mean share of helping parameters. */
  readonly helping: Estimate
  /** Of the whole run, as findings are. */
  readonly halfShare: number
  readonly findings: readonly Finding[]
}

export interface ComparedLayer {
  readonly layer: string
  /** LCA within the common range by run; undefined for a run that has no such layer. */
  readonly lca: readonly (Estimate | undefined)[]
  /**
   * Mean over runs with its interval over runs, where three or more have the layer (Student's t), and its p-value,
   * corrected for the number of layers (Holm).
   */
  readonly mean: Estimate | undefined
  readonly p: number
}

export interface ComparedLevel {
  /** The step, or the loss. */
  readonly level: number
  readonly runs: readonly {
    readonly step: number
    readonly loss: number
    /** Mean share of helping parameters since the level before. */
    readonly helping: number
  }[]
}

/**
 * Puts runs side by side.
 *
 * By step, the common range are the steps that all runs cover. By loss it reaches from the lowest of the runs' first losses
 * to the highest of their lowest ones: each run counts from its first checkpoint at or below the one to its first at or
 * below the other, so that runs of unlike speed are compared over the same learning.
 * @throws RangeError where a run lacks the split, step units differ, or nothing is in common
 */
export function compareRuns(
  runs: readonly RunAnalysis[],
  { by, split = runs[0]!.splits[0]!.split }: { readonly by: Alignment; readonly split?: string | undefined },
): Comparison {
  const of = runs.map((run) => ({ run, analysis: splitOf(run, split) }))
  const units = new Set(runs.map(({ facts }) => facts.stepUnit))
  if (by === 'step' && units.size > 1)
    throw new RangeError(`the runs count differently (${[...units].join(', ')}): align them by loss`)
  const range = by === 'step' ? commonSteps(runs) : commonLosses(of.map(({ analysis }) => analysis))
  const windows = of.map((one) => windowOf(one, by, range))
  return {
    split,
    by,
    ...range,
    stepUnit: runs[0]!.facts.stepUnit,
    runs: of.map((one, i) => comparedRun(one, windows[i]!)),
    layers: comparedLayers(
      of.map(({ analysis }) => analysis),
      windows,
    ),
    levels: levelsOf(of, windows, by, range),
  }
}

interface RunOnSplit {
  readonly run: RunAnalysis
  readonly analysis: SplitAnalysis
}

/** Checkpoints that a run is compared between. */
interface Window {
  readonly from: number
  readonly to: number
}

interface Range {
  readonly from: number
  readonly to: number
}

function splitOf({ splits, facts }: RunAnalysis, split: string): SplitAnalysis {
  const found = splits.find((analysis) => analysis.split === split)
  if (found !== undefined) return found
  throw new RangeError(`${facts.name} has no split ${split}, only ${splits.map((s) => s.split).join(', ')}`)
}

function commonSteps(runs: readonly RunAnalysis[]): Range {
  const from = Math.max(...runs.map(({ facts }) => facts.steps[0]!))
  const to = Math.min(...runs.map(({ facts }) => facts.steps.at(-1)!))
  if (from < to) return { from, to }
  throw new RangeError('the runs have no steps in common: align them by loss')
}

function commonLosses(splits: readonly SplitAnalysis[]): Range {
  const from = Math.min(...splits.map(({ losses }) => losses[0]!))
  const to = Math.max(...splits.map(({ losses }) => losses.reduce((least, loss) => Math.min(least, loss))))
  if (from > to) return { from, to }
  throw new RangeError('the runs have no losses in common: align them by step')
}

function windowOf({ run, analysis }: RunOnSplit, by: Alignment, { from, to }: Range): Window {
  const { steps } = run.facts
  const { losses } = analysis
  const window =
    by === 'step'
      ? { from: steps.findIndex((step) => step >= from), to: steps.findLastIndex((step) => step <= to) }
      : { from: losses.findIndex((loss) => loss <= from), to: losses.findIndex((loss) => loss <= to) }
  if (window.from < window.to) return window
  throw new RangeError(`${run.facts.name} has no whole interval within what the runs have in common`)
}

function comparedRun({ run, analysis }: RunOnSplit, { from, to }: Window): ComparedRun {
  const { steps } = run.facts
  const { losses, residual, helping, parameters } = analysis
  return {
    name: run.facts.name,
    intervals: { from, to },
    steps: { from: steps[from]!, to: steps[to]! },
    losses: { from: losses[from]!, to: losses[to]! },
    largestResidual: residual.subarray(from, to).reduce((most, value) => Math.max(most, Math.abs(value)), 0),
    helping: within(new BlockBootstrap().mean(helping.subarray(from, to)), 0, 1),
    halfShare: parameters.halfShare,
    findings: run.findings,
  }
}

function comparedLayers(splits: readonly SplitAnalysis[], windows: readonly Window[]): ComparedLayer[] {
  const names = new Set(splits.flatMap(({ layers }) => layers.map(({ name }) => name)))
  const bootstrap = new BlockBootstrap()
  const layers = [...names].map((layer) => {
    const lca = splits.map(({ layers }, i) => {
      const found = layers.find(({ name }) => name === layer)
      return found && bootstrap.sum(lcaIn(found, windows[i]!))
    })
    return {
      layer,
      lca,
      ...overRuns(lca.flatMap((estimate) => (estimate === undefined ? [] : [estimate.value]))),
    }
  })
  const corrected = holm(layers.map(({ p }) => p))
  return layers.map((layer, i) => ({ ...layer, p: corrected[i]! }))
}

function lcaIn({ lca }: GroupAnalysis, { from, to }: Window): Float64Array {
  return lca.subarray(from, to)
}

/** Mean over runs, which are independent of each other. */
function overRuns(values: readonly number[]): Pick<ComparedLayer, 'mean' | 'p'> {
  if (values.length < 3) return { mean: undefined, p: NaN }
  const count = values.length
  const mean = sumOf(values) / count
  const deviation = Math.sqrt(sumOf(values.map((value) => (value - mean) ** 2)) / (count - 1))
  const error = deviation / Math.sqrt(count)
  const reach = error * studentQuantile(0.05, count - 1)
  return {
    mean: { value: mean, low: mean - reach, high: mean + reach },
    p: error > 0 ? studentTwoSided(mean / error, count - 1) : NaN,
  }
}

function levelsOf(
  runs: readonly RunOnSplit[],
  windows: readonly Window[],
  by: Alignment,
  { from, to }: Range,
): ComparedLevel[] {
  const even = Array.from({ length: LEVELS + 1 }, (_, i) => from + ((to - from) * i) / LEVELS)
  const levels = by === 'step' ? [...new Set(even.map(Math.round))] : even
  const places = runs.map(({ run, analysis }, i) =>
    levels.map((level) => {
      const { from: first, to: last } = windows[i]!
      const at =
        by === 'step'
          ? run.facts.steps.findLastIndex((step) => step <= level)
          : analysis.losses.findIndex((loss) => loss <= level)
      return Math.min(last, Math.max(first, at))
    }),
  )
  return levels.map((level, row) => ({
    level,
    runs: runs.map(({ run, analysis }, i) => {
      const [before, at] = [places[i]![Math.max(0, row - 1)]!, places[i]![row]!]
      return {
        step: run.facts.steps[at]!,
        loss: analysis.losses[at]!,
        helping: meanOf(analysis.helping.subarray(before, at)),
      }
    }),
  }))
}
