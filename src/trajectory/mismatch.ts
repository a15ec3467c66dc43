import { elementCount, formatShape } from '../tensor.js'
import type { Mismatch } from './bind-report.js'
import type { BindOptions } from './bind.js'
import { findFold, isStatistic, type Fold } from './fold.js'
import { isInvented } from './invented.js'
import type { BoundCheckpoint, NetworkTensor } from './network.js'
import type { Ties } from './tie.js'

/** What did not fit, with what the numbers say about why. */
export async function mismatchOf(
  ties: Ties,
  checkpoints: readonly BoundCheckpoint[],
  { stepUnit }: Pick<BindOptions, 'stepUnit'>,
): Promise<Mismatch> {
  const { missing, leftOver, misshapen, ambiguous, reordered, origin } = ties
  const placed = (name: string): boolean => !missing.some((one) => one.name === name)
  const shapes = misshapen.filter(({ parameter }) => !placed(parameter.name))
  const apart = new Set(shapes.flatMap(({ parameter, tensor }) => [parameter.name, tensor.name]))
  return {
    bound: ties.ties.length,
    missing: missing.filter((one) => !apart.has(one.name) && !isNumber(one)),
    leftOver: leftOver.filter(({ name }) => !apart.has(name)),
    shapes,
    ambiguous,
    reordered,
    fold: await foldOf(ties, checkpoints),
    merged: mergedInto(ties),
    zeros: origin === undefined ? [] : await allZero(leftOver, origin),
    ...(origin && { origin: `${stepUnit ?? 'step'} ${origin.step}` }),
  }
}

async function foldOf(
  { ties, missing, leftOver, origin }: Ties,
  checkpoints: readonly BoundCheckpoint[],
): Promise<Fold | undefined> {
  if (!leftOver.some(({ name }) => isStatistic(name))) return undefined
  const weights = [
    ...ties.map(({ parameter, tensor }) => ({ parameter, tensors: [tensor] })),
    ...missing.map((parameter) => ({ parameter, tensors: leftOver })),
  ]
  const likely = origin === undefined ? [checkpoints.at(-1)!, checkpoints[0]!] : [origin]
  for (const checkpoint of likely) {
    const fold = await findFold(weights, leftOver, checkpoint)
    if (fold !== undefined) return fold
  }
  return undefined
}

/** Vectors longer than this are no normalization's or bias' ones and zeros. */
const LONGEST_MERGED = 2 ** 20

/** A weight of equal numbers that stands for tensors left over as well: exporters keep equal arrays once. */
function mergedInto({ ties, leftOver }: Ties): string | undefined {
  const shapes = new Set(leftOver.map(({ shape }) => formatShape(shape)))
  const isConstant = ({ read, shape }: NetworkTensor): boolean => {
    if (read === undefined || elementCount(shape) < 2 || elementCount(shape) > LONGEST_MERGED) return false
    const numbers = read()
    return numbers.every((value: number) => value === numbers[0])
  }
  return ties.find(({ parameter }) => shapes.has(formatShape(parameter.shape)) && isConstant(parameter))
    ?.parameter.name
}

/** Tensors of zeros: exporters drop a bias that adds nothing. */
async function allZero(leftOver: Ties['leftOver'], origin: BoundCheckpoint): Promise<string[]> {
  const zeros: string[] = []
  for (const { name, shape } of leftOver) {
    if (shape.length !== 1) continue
    const { data } = await origin.read(name)
    if (data.every((value: number) => value === 0)) zeros.push(name)
  }
  return zeros
}

/** A number of the computation rather than a weight whose tensor is missing. */
function isNumber({ name, shape, literal }: NetworkTensor): boolean {
  return literal === true || (isInvented(name) && elementCount(shape) === 1)
}
