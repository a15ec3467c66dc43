import type { Prepared } from '../replay/prepare.js'
import { prepare } from '../replay/prepare.js'
import type { RunOptions } from '../replay/options.js'
import { tablesAt } from '../tables/schema.js'
import type { Granularity, TableName } from '../tables/schema.js'
import { elementCount } from '../tensor.js'
import type { DataSet } from '../data/needs.js'
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
  /** Peak of the process, in bytes. */
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
  readonly granularity: Granularity
}

/** One Simpson panel: its middle and its end; its start is the end of the interval before. */
const GRADIENTS_PER_INTERVAL = 2

/** Node.js, ONNX Runtime and the values of one micro-batch (docs/performance.md, memory). */
const PROCESS_BYTES = 190e6
/** Per parameter: five float64 gradients and totals of every split; checkpoints, the engine's copies and rows once. */
const PARAMETER_BYTES_PER_SPLIT = 97
const PARAMETER_BYTES = 60

/** Bytes of a row on disk (docs/performance.md, writing tables); of parameters, of one value. */
const ROW_BYTES: Readonly<Record<TableName, number>> = {
  steps: 105,
  tensors: 75,
  units: 17,
  parameters: 3.7,
  totals: 30,
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
  const seconds = await secondsFor(prepared, evaluations / work.splits)
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

/** The fewest gradients that a replay computes: per split two for each interval, the first one, one for the noise floor. */
export function leastGradients({ intervals, splits }: Workload, withNoiseFloor: boolean): number {
  return splits * (GRADIENTS_PER_INTERVAL * intervals + 1 + (withNoiseFloor ? 1 : 0))
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
export function memoryOf({ parameters, splits, dataBytes }: Workload): number {
  return PROCESS_BYTES + dataBytes + parameters * (PARAMETER_BYTES + splits * PARAMETER_BYTES_PER_SPLIT)
}

function workloadOf({ trajectory, tensors, data }: Prepared, { granularity }: RunOptions): Workload {
  const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)
  return {
    intervals: trajectory.checkpoints.length - 1,
    splits: data.size,
    parameters: sum(tensors.map(({ size }) => size)),
    tensors: tensors.length,
    units: sum(tensors.map(({ units }) => units.count)),
    dataBytes: sum([...data.values()].map(bytesOf)),
    granularity,
  }
}

function bytesOf({ samples, inputs, target }: DataSet): number {
  const arrays = [...inputs.values(), ...(target === undefined ? [] : [target])]
  return arrays.reduce(
    (sum, { sampleShape, data }) => sum + samples * elementCount(sampleShape) * data.BYTES_PER_ELEMENT,
    0,
  )
}

/** Where samples of a micro-batch meet, the noise floor can't be estimated. */
function isPerSample({ gradient: { perSample, coupledBy } }: Prepared): boolean {
  return perSample && coupledBy === undefined
}

async function secondsFor(prepared: Prepared, gradientsPerSplit: number): Promise<number | undefined> {
  const { batchSize } = prepared
  const microBatches = [...prepared.data.values()].reduce((sum, { samples }) => sum + samples / batchSize, 0)
  const [first] = prepared.data.values()
  const measured = Math.min(1, first!.samples / batchSize)
  try {
    return (gradientsPerSplit * microBatches * (await measureMicroBatch(prepared))) / measured
  } catch {
    return undefined
  }
}
