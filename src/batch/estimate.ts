import type { Prepared } from '../replay/prepare.js'
import { prepare } from '../replay/prepare.js'
import { RULES } from '../replay/quadrature/rules.js'
import { bytesOf } from '../replay/workers/sample-files.js'
import { sizing, workerBytes } from '../replay/workers/sizing.js'
import type { Sizing } from '../replay/workers/sizing.js'
import type { RunOptions } from '../replay/options.js'
import { tablesAt } from '../tables/schema.js'
import type { Granularity, TableName } from '../tables/schema.js'
import { measureMicroBatch } from './measure.js'

/** What a replay would take. Counts of gradients and times are the least: intervals that don't converge are cut finer. */
export interface Estimate {
  readonly checkpoints: number
  readonly intervals: number
  readonly parameters: number
  /** Gradients of a split's loss, over all splits. */
  readonly evaluations: number
  /** Undefined where the graph can't be run here. */
  readonly seconds?: number
  /** Peak of all processes, in bytes. */
  readonly memory: number
  /** Size of the tables, in bytes. */
  readonly bytes: number
}

/** What an estimate follows from. */
export interface Workload {
  readonly intervals: number
  readonly splits: number
  readonly parameters: number
  readonly tensors: number
  readonly units: number
  /** Bytes of all samples as they are kept. */
  readonly dataBytes: number
  /** Gradients of an interval on each split before it is refined; its start is the end of the interval before. */
  readonly gradients: number
  readonly sizing: Sizing
  readonly granularity: Granularity
}

/** Node.js with the arrays that it reads files into; everything as large as the parameters lies in files. */
const PARENT_BYTES = 170e6

/** Bytes of a row on disk (docs/performance.md, writing tables); of parameters, of one value. */
const ROW_BYTES: Readonly<Record<TableName, number>> = {
  steps: 105,
  tensors: 75,
  units: 17,
  parameters: 3.7,
  totals: 30,
  blocks: 30,
}
/** Facts that every file carries, and the columns' descriptions. */
const FILE_BYTES = 4400
/** Intervals whose rows are in one file. */
const INTERVALS_PER_FILE = 32

/**
 * Opens everything that a run needs, as the run would, and says what it would take; writes nothing. Time is measured on
 * one micro-batch.
 * @throws what a run throws before it begins
 */
export async function estimate(options: RunOptions): Promise<Estimate> {
  const prepared = await prepare(options, {})
  const work = workloadOf(prepared, options)
  const evaluations = leastGradients(work, isPerSample(prepared))
  const seconds = await secondsFor(prepared, evaluations / work.splits, work.sizing)
  return {
    checkpoints: work.intervals + 1,
    intervals: work.intervals,
    parameters: work.parameters,
    evaluations,
    ...(seconds !== undefined && { seconds }),
    memory: memoryOf(work),
    bytes: tableBytes(work),
  }
}

/** The fewest gradients that a replay computes: per split the rule's for each interval, the first one, one for the noise floor. */
export function leastGradients({ intervals, splits, gradients }: Workload, withNoiseFloor: boolean): number {
  return splits * (gradients * intervals + 1 + (withNoiseFloor ? 1 : 0))
}

/** Bytes of the tables. */
export function tableBytes(work: Workload): number {
  const { intervals, splits, tensors, units, parameters } = work
  const rows: Readonly<Record<TableName, number>> = {
    steps: intervals * splits,
    tensors: intervals * splits * tensors,
    units: intervals * splits * units,
    parameters: intervals * splits * parameters,
    totals: splits * parameters,
    blocks: 0,
  }
  const files = Math.ceil(intervals / INTERVALS_PER_FILE)
  return Math.round(
    tablesAt(work.granularity).reduce(
      (sum, table) => sum + rows[table] * ROW_BYTES[table] + files * FILE_BYTES,
      0,
    ),
  )
}

/** Peak memory of a replay, in bytes. */
export function memoryOf({ parameters, dataBytes, sizing }: Workload): number {
  const { workers, keepBytes } = sizing
  return PARENT_BYTES + dataBytes + workers * workerBytes(parameters, Math.min(dataBytes, keepBytes))
}

function workloadOf({ trajectory, network, data }: Prepared, options: RunOptions): Workload {
  const { tensors } = network
  const { granularity, quadrature = 'simpson', workers, threads } = options
  const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)
  const parameters = sum(tensors.map(({ size }) => size))
  const dataBytes = sum([...data.values()].map(bytesOf))
  return {
    intervals: trajectory.checkpoints.length - 1,
    splits: data.size,
    parameters,
    tensors: tensors.length,
    units: sum(tensors.map(({ units }) => units.count)),
    dataBytes,
    granularity,
    gradients: RULES[quadrature].level(0).points.length + 1,
    sizing: sizing({ parameters, dataBytes, workers, threads }),
  }
}

/** Where samples of a micro-batch meet, the noise floor can't be estimated. */
function isPerSample({
  network: {
    gradient: { perSample, coupledBy },
  },
}: Prepared): boolean {
  return perSample && coupledBy === undefined
}

async function secondsFor(
  prepared: Prepared,
  gradientsPerSplit: number,
  { workers, threads }: Sizing,
): Promise<number | undefined> {
  const { batchSize } = prepared
  const microBatches = [...prepared.data.values()].reduce((sum, { samples }) => sum + samples / batchSize, 0)
  const [first] = prepared.data.values()
  const measured = Math.min(1, first!.samples / batchSize)
  try {
    const seconds = await measureMicroBatch(prepared, threads)
    const single = await secondsForFisher(prepared, threads)
    return ((gradientsPerSplit * microBatches * seconds) / measured + single) / workers
  } catch {
    return undefined
  }
}

/** Of one worker: Fisher information takes one sample at a time. */
async function secondsForFisher(prepared: Prepared, threads: number): Promise<number> {
  if (prepared.fisher === undefined) return 0
  const samples = [...prepared.fisher.values()].reduce((sum, { length }) => sum + length, 0)
  return samples * (await measureMicroBatch(prepared, threads, 1))
}
