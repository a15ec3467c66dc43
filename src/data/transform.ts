import { DataError, UsageError } from '../errors.js'
import { elementCount, formatShape } from '../tensor.js'

/** What inputs are normalized with: (x - mean) / std, one number for all or one for each channel. */
export interface Transform {
  readonly mean: readonly number[]
  readonly std: readonly number[]
}

/**
 * Reads `--transform`: `MEAN,STD`, or a list for each in brackets, one number for each channel:
 * `[0.49,0.48,0.45],[0.25,0.24,0.26]`.
 * @throws UsageError where it is something else, or a deviation is not above 0
 */
export function parseTransform(text: string): Transform {
  let parsed: unknown
  try {
    // Numbers as .5 are usual, but no JSON.
    parsed = JSON.parse(`[${text.replaceAll(/(^|[[,\s-])\./g, '$10.')}]`)
  } catch {
    throw malformed(text)
  }
  if (!Array.isArray(parsed) || parsed.length !== 2) throw malformed(text)
  const [mean, std] = parsed.map((part: unknown) => (Array.isArray(part) ? (part as unknown[]) : [part]))
  if (!isNumbers(mean) || !isNumbers(std) || mean.length === 0 || std.length === 0) throw malformed(text)
  return checkTransform({ mean, std })
}

function isNumbers(values: unknown[] | undefined): values is number[] {
  return values !== undefined && values.every((value) => typeof value === 'number' && Number.isFinite(value))
}

function malformed(text: string): UsageError {
  return new UsageError(
    `--transform ${text}: mean and standard deviation are needed, as 0.1307,0.3081 or '[0.49,0.48,0.45],[0.25,0.24,0.26]'`,
  )
}

/** @throws UsageError where a deviation is not above 0, or the lists' lengths differ */
export function checkTransform(transform: Transform): Transform {
  const { mean, std } = transform
  const bad = std.find((value) => !(value > 0))
  if (bad !== undefined)
    throw new UsageError(`--transform: a standard deviation of ${bad}; it must be above 0`)
  if (mean.length !== std.length && mean.length !== 1 && std.length !== 1)
    throw new UsageError(`--transform: ${mean.length} means, but ${std.length} standard deviations`)
  return transform
}

/** Normalizes a value by its position in the array. */
export type Normalize = (value: number, position: number) => number

/**
 * The function that normalizes an array's values, after any division by 255. Channels are axis 1 of an input (NCHW) or
 * its last one (NHWC, features), whichever has as many as the lists; axis 1 where both have. For float32 every step is
 * rounded to float32, which is how torchvision's Normalize computes: results are equal bit for bit.
 * @param shape of the array as the network takes it, samples first
 * @param round to the precision of the input: Math.fround, or the identity for float64
 * @throws DataError when no axis has as many channels
 */
export function normalizer(
  { mean, std }: Transform,
  shape: readonly number[],
  where: string,
  round: (value: number) => number,
): Normalize {
  const channels = Math.max(mean.length, std.length)
  const means = expand(mean, channels).map(round)
  const deviations = expand(std, channels).map(round)
  const { inner } = channels === 1 ? { inner: 1 } : channelAxis(shape, channels, where)
  return (value, position) => {
    const channel = Math.floor(position / inner) % channels
    return round(round(value - means[channel]!) / deviations[channel]!)
  }
}

function expand(values: readonly number[], channels: number): number[] {
  return Array.from({ length: channels }, (_, channel) => values[channel] ?? values[0]!)
}

function channelAxis(shape: readonly number[], channels: number, where: string): { inner: number } {
  if (shape.length > 1 && shape[1] === channels) return { inner: elementCount(shape.slice(2)) }
  if (shape.length > 1 && shape.at(-1) === channels) return { inner: 1 }
  throw new DataError(
    `${where}: --transform has ${channels} channels, but neither the first nor the last axis of a sample (${formatShape(shape.slice(1))}) has`,
  )
}

export function describeTransform({ mean, std }: Transform): string {
  return `normalized: less ${mean.join(', ')}, divided by ${std.join(', ')}`
}
