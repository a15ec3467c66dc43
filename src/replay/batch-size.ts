import type { DataSet } from '../data/needs.js'
import type { DeviceMemory } from '../engines/devices/memory.js'
import { defaultBatchSize, deviceBatchSize } from '../engines/micro-batches.js'
import { DataError, UsageError } from '../errors.js'
import { EXPORT_LINE } from '../trajectory/bind-report.js'
import type { Differentiated, ReplayNetwork } from './network.js'
import type { RunOptions } from './options.js'

/**
 * The size of a micro-batch that the network has (one that was exported with a fixed batch) or the user asks for.
 * Where samples of a micro-batch meet, the size is part of what the loss means, so that it must be asked for.
 *
 * @returns undefined where neither says anything
 * @throws UsageError where the size is missing, or is not the one that the network was exported with
 */
export function askedBatchSize(
  { batchSize, model }: RunOptions,
  { batch, coupledBy }: Differentiated,
  note: (text: string) => void,
): number | undefined {
  if (typeof batch === 'string') {
    if (batchSize === undefined && coupledBy !== undefined) throw missingSize(coupledBy)
    return batchSize
  }
  if (batchSize !== undefined && batchSize !== batch)
    throw new UsageError(
      `--batch-size ${batchSize}: ${model} was exported with a fixed batch of ${batch}; leave the option out, or export with ${EXPORT_LINE}`,
    )
  note(
    `the network was exported with a fixed batch of ${batch}, so micro-batches have that size, which is slow when it is small; ` +
      `to leave it open: ${EXPORT_LINE}`,
  )
  return batch
}

function missingSize(operator: string): UsageError {
  return new UsageError(
    `--batch-size is missing: ${operator} takes its statistics from each micro-batch, so its size is part of ` +
      'what the loss means; give the size that the network was trained with',
  )
}

/**
 * The size of a micro-batch that suits the network and the samples, the largest of them: sizes that only the data fix
 * (the length of a sequence) count with their value there.
 */
export function fittingBatchSize(
  network: Pick<ReplayNetwork, 'tensors' | 'elementsPerSample'>,
  data: Iterable<DataSet>,
): number {
  const elements = [...data].map((set) => network.elementsPerSample(set))
  const parameters = network.tensors.reduce((sum, { size }) => sum + size, 0)
  return defaultBatchSize(Math.max(...elements), parameters)
}

/** The size of a micro-batch, and why it is what it is. */
export interface ChosenSize {
  readonly size: number
  /** Said where the size follows from a device's memory, which may differ when the run goes on: the first one counts. */
  readonly fromMemory?: string
}

/**
 * The size of a micro-batch where nobody asks for one: on the CPU what suits network and samples, on a device the largest
 * that its memory holds. Where that is not known, it may be when the run goes on.
 *
 * @param memory undefined on the CPU
 */
export function chooseBatchSize(
  network: Pick<ReplayNetwork, 'tensors' | 'elementsPerSample' | 'largestPerSample'>,
  data: readonly DataSet[],
  memory: DeviceMemory | 'unknown' | undefined,
): ChosenSize {
  const { largestPerSample } = network
  if (memory === undefined || largestPerSample === undefined) return { size: fittingBatchSize(network, data) }
  if (memory === 'unknown') {
    const size = fittingBatchSize(network, data)
    const fromMemory = `micro-batches of ${size} samples, as on the CPU, since the device's memory is not known`
    return { size, fromMemory }
  }
  const most = (of: (set: DataSet) => number): number => Math.max(...data.map(of))
  const needs = {
    elementsPerSample: most((set) => network.elementsPerSample(set)),
    largestPerSample: most(largestPerSample),
    parameters: network.tensors.reduce((sum, { size }) => sum + size, 0),
    samples: most(({ samples }) => samples),
  }
  const size = deviceBatchSize(needs, memory)
  return { size, fromMemory: `micro-batches of ${size} samples, by the device's memory (${memory.source})` }
}

/**
 * Checks that samples can be cut into micro-batches of a size: where they meet, none can be padded, and one alone has
 * no statistics; a loss that is one number for a whole micro-batch can't leave padding out.
 *
 * @throws UsageError where a size leaves a micro-batch of one sample
 * @throws DataError where the samples don't fill the micro-batches of a fixed size
 */
export function checkRemainder(data: DataSet, gradient: Differentiated, batchSize: number): void {
  const { path, samples } = data
  const { coupledBy, perSample, batch } = gradient
  if (typeof batch === 'number' && samples % batchSize !== 0 && (coupledBy !== undefined || !perSample)) {
    const why =
      coupledBy === undefined
        ? 'the loss is one number for a whole micro-batch'
        : `${coupledBy} takes its statistics from the whole micro-batch`
    throw new DataError(
      `${path}: ${samples} samples don't fill micro-batches of ${batchSize}, and ${why}, ` +
        `so that none can be padded; use a multiple of ${batchSize} samples, or export with ${EXPORT_LINE}`,
    )
  }
  if (coupledBy !== undefined && hasSingle(samples, batchSize)) throw singleSample(data, coupledBy, batchSize)
}

function hasSingle(samples: number, batchSize: number): boolean {
  return batchSize === 1 || samples % batchSize === 1
}

function singleSample({ path, samples }: DataSet, operator: string, batchSize: number): UsageError {
  const which = batchSize === 1 ? 'each sample' : `the last of ${samples} samples`
  const size = nearestSize(samples, batchSize)
  return new UsageError(
    `--batch-size ${batchSize} puts ${which} of ${path} into a micro-batch of its own, where ${operator} has no statistics to take` +
      (size === undefined ? `; ${path} needs two samples at least` : `; use another, such as ${size}`),
  )
}

/** The size nearest to the one asked for that leaves no sample alone. */
function nearestSize(samples: number, batchSize: number): number | undefined {
  for (let step = 1; step <= samples; step += 1) {
    const fits = [batchSize - step, batchSize + step].find((size) => size >= 2 && !hasSingle(samples, size))
    if (fits !== undefined) return fits
  }
  return undefined
}
