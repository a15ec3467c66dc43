import type { DataSet } from '../data/needs.js'
import { chooseSamples } from '../data/sample.js'
import type { Sample } from '../data/sample.js'
import { UsageError } from '../errors.js'
import type { Differentiated } from './network.js'
import type { RunOptions } from './options.js'

/**
 * Refuses to measure Fisher information where it can't be.
 * @throws UsageError where no sample has a gradient of its own, or where part of a run is asked for, whose last checkpoint
 * is not the run's
 */
export function checkFisher(
  { fisher, intervals }: Pick<RunOptions, 'fisher' | 'intervals'>,
  { coupledBy, perSample }: Pick<Differentiated, 'coupledBy' | 'perSample'>,
): void {
  if (fisher === undefined) return
  const option = `--fisher-samples ${fisher.samples}`
  if (intervals !== undefined)
    throw new UsageError(
      `${option}: Fisher information is that of the run's last checkpoint, and parts of a run leave it out; ` +
        'replay the run without --intervals, or leave --fisher-samples out',
    )
  if (coupledBy !== undefined)
    throw new UsageError(
      `${option}: ${coupledBy} takes its statistics from the whole micro-batch, so that no sample has a gradient of its own; ` +
        (coupledBy === 'BatchNormalization' ? 'use --batchnorm running, or leave it out' : 'leave it out'),
    )
  if (!perSample)
    throw new UsageError(
      `${option}: the loss is one number for its whole micro-batch, so that no sample has a gradient of its own; ` +
        'give a loss with a value for each sample, or leave it out',
    )
}

/**
 * The samples that Fisher information is measured on, by split: all where no more are there than asked for, else a random
 * choice. A random sample (`--max-samples`) is in random order already, so that its first ones are a random choice of it;
 * they are those that the same seed chooses of all.
 */
export function fisherSamples(
  { fisher }: Pick<RunOptions, 'fisher'>,
  data: ReadonlyMap<string, DataSet>,
  samples: ReadonlyMap<string, Sample>,
): ReadonlyMap<string, readonly number[]> | undefined {
  if (fisher === undefined) return undefined
  return new Map(
    [...data].map(([split, set]) => {
      const chosen = samples.has(split)
        ? firstOf(Math.min(fisher.samples, set.samples))
        : chooseSamples(fisher.samples, set.samples, fisher.seed)
      return [split, chosen]
    }),
  )
}

/** What the user is told of them. */
export function fisherNote(
  chosen: ReadonlyMap<string, readonly number[]>,
  data: ReadonlyMap<string, DataSet>,
): string {
  const parts = [...chosen].map(([split, { length }]) => {
    const { samples } = data.get(split)!
    return length === samples
      ? `all ${samples} samples of ${split}`
      : `${length} of ${samples} samples of ${split}`
  })
  return `Fisher information at the last checkpoint, one sample at a time: ${parts.join(', ')}`
}

function firstOf(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i)
}
