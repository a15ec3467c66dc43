import { ResultsError } from '../errors.js'
import type { IntervalTables, RecomputedInterval } from '../replay/recompute.js'
import { badSums, fineDistance } from './fine.js'
import type { FineTable } from './fine.js'
import type { Contradiction, IntervalVerification, Pair, SplitDistance } from './model.js'
import type { FineValues, StoredResults, StoredStep } from './stored.js'
import { apart, reproduction, residualsOf, roundingOf, verdictOf } from './verdict.js'

/** How tensors of the results are called where they were recomputed, by their names in the results. */
export interface TensorNames {
  readonly tensors: ReadonlyMap<string, string>
  /** Those whose units are the same ones. */
  readonly units: ReadonlyMap<string, string>
}

/** What the recomputation of an interval is held against. */
export interface Expectations {
  readonly names: TensorNames
  /** Of the verification and of the run, in units of the loss. */
  readonly tolerance: number
  readonly runTolerance: number
  /** LCA by split and tensor as the run's own rule gives it in its own parts, where that is known. */
  readonly own?: ReadonlyMap<string, ReadonlyMap<string, number>> | undefined
}

/** Bits of a float32 behind the first one. */
const FLOAT32_BITS = 23

/**
 * Holds the results of an interval against what was recomputed.
 * @throws ResultsError where the tables lack rows of the interval
 */
export async function compareInterval(
  stored: StoredResults,
  { record, tables }: RecomputedInterval,
  expected: Expectations,
): Promise<IntervalVerification> {
  const { interval } = record
  const contradictions: Contradiction[] = []
  const splits: SplitDistance[] = []
  for (const [index, split] of stored.splits.entries()) {
    const one = { step: stored.step(split, interval), losses: record.losses[index]!, tables }
    splits.push(await splitDistance(stored, one, expected.names, contradictions))
  }
  const first = stored.step(stored.splits[0]!, interval)
  const found = farthest(splits)
  const reproduced = reproduction(stored, splits, expected, interval)
  const verdict = verdictOf({
    distance: found.distance,
    tolerance: expected.tolerance,
    reproduced,
    rounding: roundingOf(splits, expected.runTolerance),
    residuals: residualsOf(splits),
  })
  return {
    interval,
    stepFrom: first.stepFrom,
    stepTo: first.stepTo,
    parts: { stored: first.parts, recomputed: record.splits },
    ...found,
    reproduced,
    verdict: contradictions.length > 0 ? 'differs' : verdict,
    contradictions,
    splits,
  }
}

/** What was recomputed of an interval, and what the results have, on one split. */
interface OneSplit {
  readonly step: StoredStep
  readonly losses: readonly [from: number, to: number]
  readonly tables: IntervalTables
}

async function splitDistance(
  stored: StoredResults,
  { step, losses, tables }: OneSplit,
  names: TensorNames,
  contradictions: Contradiction[],
): Promise<SplitDistance> {
  const { split, interval } = step
  const now = tables.steps!.find((row) => row.split === split)!
  const tensors = new Map(
    (tables.tensors ?? [])
      .filter((row) => row.split === split)
      .map((row) => [text(row.tensor), one(row.lca)]),
  )
  const storedTensors = stored.tensorsOf(split, interval)
  const units = await stored.unitsOf(split, interval)
  const parameters = await stored.parametersOf(split, interval)
  const where = `interval ${interval} on ${split}`
  for (const [table, values] of [
    ['units', units],
    ['parameters', parameters],
  ] as const)
    for (const tensor of values === undefined ? [] : badSums(table, values, storedTensors))
      contradictions.push({ interval, split, what: `lca of ${tensor} is not the sum of its ${table}` })
  return {
    ...stepDistance(step, { lca: one(now.lca), residual: one(now.residual) }, losses),
    helping: {
      stored: step.helping / step.parameters,
      recomputed: one(now.helping) / one(now.parameters),
    },
    ...tensorDistance(storedTensors, tensors, names.tensors, where),
    ...(units && {
      units: fineDistance(units, fineOf(tables, 'units', split), names.units, `units of ${where}`),
    }),
    ...(parameters && {
      parameters: fineDistance(
        parameters,
        fineOf(tables, 'parameters', split),
        names.tensors,
        `parameters of ${where}`,
      ),
    }),
  }
}

/** What was recomputed of single units or parameters, by tensor. */
function fineOf(tables: IntervalTables, table: FineTable, split: string): FineValues {
  const rows = (tables[table] ?? []).filter((row) => row.split === split)
  return new Map(
    rows.map((row) => [
      text(row.tensor),
      numbersOf(table === 'units' ? row.lca : (row.lca as ArrayLike<number>[])[0]!),
    ]),
  )
}

function stepDistance(
  step: StoredStep,
  recomputed: { readonly lca: number; readonly residual: number },
  [from, to]: readonly [number, number],
): Pick<SplitDistance, 'split' | 'lossFrom' | 'lossTo' | 'lossUlps' | 'lca' | 'residual'> {
  const lossFrom = { stored: step.lossFrom, recomputed: from }
  const lossTo = { stored: step.lossTo, recomputed: to }
  return {
    split: step.split,
    lossFrom,
    lossTo,
    lossUlps: Math.max(ulps(lossFrom), ulps(lossTo)),
    lca: { stored: step.lca, recomputed: recomputed.lca },
    residual: { stored: step.residual, recomputed: recomputed.residual },
  }
}

/** The difference in units of the last place of the recomputed value as float32. */
function ulps(pair: Pair): number {
  const difference = apart(pair)
  if (difference === 0) return 0
  const exponent = Math.max(-126, Math.floor(Math.log2(Math.abs(pair.recomputed))))
  return difference / 2 ** (exponent - FLOAT32_BITS)
}

function tensorDistance(
  stored: ReadonlyMap<string, number>,
  recomputed: ReadonlyMap<string, number>,
  names: TensorNames['tensors'],
  where: string,
): Pick<SplitDistance, 'moved' | 'tensors' | 'largest'> {
  const pairs = [...names].map(([tensor, name]) => {
    const value = stored.get(tensor)
    if (value === undefined)
      throw new ResultsError(`tensors has no row of ${tensor} in ${where}; the table is damaged`)
    return { tensor, stored: value, recomputed: recomputed.get(name)! }
  })
  const most = pairs.reduce((a, b) => (apart(b) > apart(a) ? b : a))
  return {
    moved: pairs.reduce((sum, pair) => sum + Math.abs(pair.recomputed), 0),
    tensors: pairs.reduce((sum, pair) => sum + apart(pair), 0),
    ...(apart(most) > 0 && { largest: most }),
  }
}

/** The largest difference of all that is compared, and where it is. */
function farthest(splits: readonly SplitDistance[]): Pick<IntervalVerification, 'distance' | 'where'> {
  const found = splits.flatMap((distance): { distance: number; where: string }[] => {
    const { split, lossFrom, lossTo, lca, largest, units, parameters } = distance
    const unit = units?.largest
    const parameter = parameters?.largest
    return [
      ...(largest ? [{ distance: apart(largest), where: `lca of ${largest.tensor} on ${split}` }] : []),
      ...(unit
        ? [{ distance: apart(unit), where: `lca of unit ${unit.index} of ${unit.tensor} on ${split}` }]
        : []),
      ...(parameter
        ? [
            {
              distance: apart(parameter),
              where: `lca of parameter ${parameter.index} of ${parameter.tensor} on ${split}`,
            },
          ]
        : []),
      { distance: apart(lca), where: `lca of the interval on ${split}` },
      { distance: apart(lossFrom), where: `loss at its start on ${split}` },
      { distance: apart(lossTo), where: `loss at its end on ${split}` },
    ]
  })
  return found.reduce((most, one) => (one.distance > most.distance ? one : most))
}

function one(value: number | ArrayLike<number>): number {
  return typeof value === 'number' ? value : value[0]!
}

function text(value: string | readonly string[]): string {
  return typeof value === 'string' ? value : value[0]!
}

function numbersOf(value: number | ArrayLike<number> | ArrayLike<ArrayLike<number>>): ArrayLike<number> {
  return typeof value === 'number' ? [value] : (value as ArrayLike<number>)
}
