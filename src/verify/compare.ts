import { ResultsError } from '../errors.js'
import type { RecomputedInterval } from '../replay/recompute.js'
import { fineDistance } from './fine.js'
import type { FineTable } from './fine.js'
import type { IntervalVerification, Pair, SplitDistance, Verdict } from './model.js'
import type { FineValues, StoredResults, StoredStep } from './stored.js'

/** How tensors of the results are called where they were recomputed, by their names in the results. */
export interface TensorNames {
  readonly tensors: ReadonlyMap<string, string>
  /** Those whose units are the same ones. */
  readonly units: ReadonlyMap<string, string>
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
  names: TensorNames,
  tolerance: number,
): Promise<IntervalVerification> {
  const { interval } = record
  const splits: SplitDistance[] = []
  for (const split of stored.splits) {
    const steps = tables.steps!.find((row) => row.split === split)!
    const tensors = new Map(
      (tables.tensors ?? [])
        .filter((row) => row.split === split)
        .map((row) => [text(row.tensor), one(row.lca)]),
    )
    const fine = (table: FineTable): FineValues =>
      new Map(
        (tables[table] ?? [])
          .filter((row) => row.split === split)
          .map((row) => [
            text(row.tensor),
            numbersOf(table === 'units' ? row.lca : (row.lca as ArrayLike<number>[])[0]!),
          ]),
      )
    const step = stored.step(split, interval)
    splits.push({
      ...stepDistance(
        step,
        { lca: one(steps.lca), residual: one(steps.residual) },
        record.losses[stored.splits.indexOf(split)]!,
      ),
      helping: {
        stored: step.helping / step.parameters,
        recomputed: one(steps.helping) / one(steps.parameters),
      },
      ...tensorDistance(
        stored.tensorsOf(split, interval),
        tensors,
        names.tensors,
        `interval ${interval} on ${split}`,
      ),
      ...(await fineDistances(stored, step, names, fine)),
    })
  }
  const first = stored.step(stored.splits[0]!, interval)
  const found = farthest(splits)
  const stated = {
    stored: 2 * Math.max(...splits.map(({ residual }) => known(residual.stored))),
    recomputed: 2 * Math.max(...splits.map(({ residual }) => known(residual.recomputed))),
  }
  return {
    interval,
    stepFrom: first.stepFrom,
    stepTo: first.stepTo,
    parts: { stored: first.parts, recomputed: record.splits },
    ...found,
    stated,
    verdict: verdictOf(found.distance, tolerance, stated),
    splits,
  }
}

export function verdictOf(distance: number, tolerance: number, stated: Pair): Verdict {
  if (distance <= tolerance) return 'agrees'
  return distance <= stated.stored + stated.recomputed ? 'imprecise' : 'differs'
}

/** The absolute difference; infinite where one is no number and the other is. */
export function apart({ stored, recomputed }: Pair): number {
  if (Number.isNaN(stored) && Number.isNaN(recomputed)) return 0
  const difference = Math.abs(stored - recomputed)
  return Number.isNaN(difference) ? Infinity : difference
}

function known(residual: number): number {
  return Number.isNaN(residual) ? 0 : Math.abs(residual)
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

async function fineDistances(
  stored: StoredResults,
  { split, interval }: StoredStep,
  names: TensorNames,
  recomputed: (table: FineTable) => FineValues,
): Promise<Pick<SplitDistance, 'units' | 'parameters'>> {
  const units = await stored.unitsOf(split, interval)
  const parameters = await stored.parametersOf(split, interval)
  const where = `interval ${interval} on ${split}`
  return {
    ...(units && { units: fineDistance(units, recomputed('units'), names.units, `units of ${where}`) }),
    ...(parameters && {
      parameters: fineDistance(parameters, recomputed('parameters'), names.tensors, `parameters of ${where}`),
    }),
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
