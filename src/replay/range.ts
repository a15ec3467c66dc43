import { UsageError } from '../errors.js'
import type { Trajectory } from '../trajectory/checkpoint.js'
import type { Range } from './state.js'
import { BLOCK_INTERVALS } from './totals.js'

/**
 * Reads `--intervals A:B`, half-open.
 * @throws UsageError where it is something else
 */
export function parseIntervals(text: string): Range {
  const [, from, to] = /^(\d+):(\d+)$/.exec(text) ?? []
  if (from === undefined || to === undefined)
    throw new UsageError(
      `--intervals ${text}: two numbers are needed, FROM:TO, such as 0:32 (TO is not replayed)`,
    )
  return { from: Number(from), to: Number(to) }
}

/**
 * Checks that a part of a run is cut where parts can be joined again without changing a bit of their sums.
 * @throws UsageError where it is empty, beyond the run's end, or cut elsewhere than at multiples of 32 or the end
 */
export function checkIntervals(
  range: Range | undefined,
  { checkpoints }: Pick<Trajectory, 'checkpoints'>,
): void {
  if (range === undefined) return
  const { from, to } = range
  const intervals = checkpoints.length - 1
  const option = `--intervals ${from}:${to}`
  if (from >= to) throw new UsageError(`${option}: no interval lies between them`)
  if (to > intervals) throw new UsageError(`${option}: the run has ${intervals} intervals, 0:${intervals}`)
  const wrong = [from, to].find((cut) => cut % BLOCK_INTERVALS !== 0 && cut !== intervals)
  if (wrong === undefined) return
  const below = wrong - (wrong % BLOCK_INTERVALS)
  throw new UsageError(
    `${option}: parts are cut at multiples of ${BLOCK_INTERVALS} or at the end of the run (${intervals}), so that they can be joined; ` +
      `instead of ${wrong} take ${below} or ${Math.min(intervals, below + BLOCK_INTERVALS)}`,
  )
}
