import { UsageError } from '../errors.js'

/** Which checkpoints to use: steps `from`, `from + stride`, ... up to `to`, both ends included. */
export interface StepRange {
  /** Defaults to the first recorded step. */
  readonly from?: number
  /** Defaults to the last recorded step. */
  readonly to?: number
  /** In units of step, at least 1. */
  readonly stride?: number
}

/**
 * Reads `FROM:TO:STRIDE`, of which any part may be empty and STRIDE left away: `100:200`, `:500`, `::10`.
 * @throws UsageError
 */
export function parseStepRange(text: string): StepRange {
  const parts = text.split(':')
  if (parts.length < 2 || parts.length > 3 || parts.some((part) => !/^\d*$/.test(part))) {
    throw new UsageError(
      `--steps ${text}: expected FROM:TO or FROM:TO:STRIDE in whole numbers, such as 0:100:10`,
    )
  }
  const [from, to, stride] = parts.map((part) => (part === '' ? undefined : Number(part)))
  if ([from, to, stride].some((value) => value !== undefined && !Number.isSafeInteger(value))) {
    throw new UsageError(`--steps ${text}: the numbers are too large`)
  }
  if (stride === 0) throw new UsageError(`--steps ${text}: the stride must be at least 1`)
  if (from !== undefined && to !== undefined && from > to) {
    throw new UsageError(`--steps ${text}: FROM ${from} is after TO ${to}`)
  }
  return {
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
    ...(stride === undefined ? {} : { stride }),
  }
}

/** Whether a step is in the range, in a trajectory whose first step is `first`. */
export function inStepRange(step: number, range: StepRange, first: number): boolean {
  const from = range.from ?? first
  return step >= from && step <= (range.to ?? Infinity) && (step - from) % (range.stride ?? 1) === 0
}
