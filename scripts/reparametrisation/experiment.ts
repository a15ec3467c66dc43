import { join } from 'node:path'
import { analyzeRun } from '../../src/analysis/analyze.js'
import type { MeasureCorrelation, TensorAnalysis } from '../../src/analysis/model.js'
import type { RunOptions } from '../../src/replay/options.js'
import { runReplay } from '../../src/replay/run.js'
import { openResults } from '../../src/tables/read.js'
import { factorOf, writeScaled } from './scaled-run.js'
import type { Scaling } from './scaled-run.js'

const RUN = 'fixtures/mnist-lenet'

/** What of the recorded run is replayed. */
export interface Extent {
  readonly data: string
  readonly steps: NonNullable<RunOptions['steps']>
  readonly fisherSamples: number
}

export const WHOLE_RUN: Extent = {
  data: `${RUN}/train.npz`,
  steps: { from: 0, to: 60, stride: 1 },
  fisherSamples: 1000,
}

/** What the tables of one replay say. */
export interface Replayed {
  readonly tensors: readonly TensorAnalysis[]
  readonly measures: readonly MeasureCorrelation[]
  /** LCA of every parameter over the run, tensors in their order; and its Fisher information. */
  readonly lca: Float64Array
  readonly fisher: Float64Array
  /** The tensor of each of these parameters. */
  readonly tensorOf: readonly string[]
  /** Mean over intervals of the cosine between movement and negative gradient, all parameters together. */
  readonly cosine: number
}

/** Replays the recorded run as it is. */
export function replayRecorded(folder: string, extent: Extent): Promise<Replayed> {
  return replayed(`${RUN}/checkpoints`, join(folder, 'recorded'), extent)
}

/** Replays the recorded run with two layers scaled against each other at every checkpoint. */
export async function replayScaled(folder: string, extent: Extent, scaling: Scaling): Promise<Replayed> {
  const checkpoints = join(folder, `checkpoints-${scaling.by}`)
  await writeScaled(`${RUN}/checkpoints`, checkpoints, scaling)
  return replayed(checkpoints, join(folder, `scaled-${scaling.by}`), extent)
}

async function replayed(
  checkpoints: string,
  out: string,
  { data, steps, fisherSamples }: Extent,
): Promise<Replayed> {
  const options: RunOptions = {
    ...{ checkpoints, model: `${RUN}/model.onnx`, splits: new Map([['train', data]]), steps, out },
    loss: { kind: 'cross-entropy' },
    scale: 'auto',
    tolerance: 1e-3,
    maxSplits: 32,
    granularity: 'unit',
    batchNorm: 'running',
    fisher: { samples: fisherSamples, seed: 0 },
    overwrite: false,
  }
  await runReplay(options, {})
  const results = await openResults(out)
  const [split] = (await analyzeRun(results)).splits
  const { columns } = await results.readTable('totals')
  const { cosine } = (await results.readTable('steps')).columns
  return {
    tensors: split!.tensors,
    measures: split!.measures,
    lca: columns.lca,
    fisher: columns.fisher,
    tensorOf: columns.tensor,
    cosine: cosine.reduce((sum, value) => sum + value, 0) / cosine.length,
  }
}

/** A measure of a tensor, and the power of c that it scales with where the tensor is multiplied by c; null: none. */
export interface Measured {
  readonly name: string
  readonly of: (tensor: TensorAnalysis) => number
  readonly power: number | null
}

export const MEASURED: readonly Measured[] = [
  { name: 'LCA', of: ({ total }) => total.value, power: 0 },
  { name: 'first-order LCA', of: ({ firstOrderTotal }) => firstOrderTotal, power: 0 },
  { name: 'gradient norm', of: ({ gradientNorm }) => gradientNorm, power: -1 },
  { name: 'update norm', of: ({ updateNorm }) => updateNorm, power: 1 },
  { name: 'relative update', of: ({ relativeUpdate }) => relativeUpdate, power: 0 },
  { name: 'cosine of movement and negative gradient', of: ({ cosine }) => cosine, power: 0 },
  { name: 'path length', of: ({ pathLength }) => pathLength, power: 1 },
  { name: 'distance over path length', of: ({ efficiency }) => efficiency, power: 0 },
  { name: 'Synaptic Intelligence', of: ({ synapticIntelligence }) => synapticIntelligence, power: null },
  { name: 'empirical Fisher', of: ({ fisher }) => fisher, power: -2 },
]

/** A measure of the scaled run over that of the recorded one. */
export interface Ratio {
  readonly tensor: string
  /** What the tensor was multiplied with. */
  readonly factor: number
  readonly ratio: number
}

export function ratiosOf(
  { of }: Measured,
  recorded: Replayed,
  scaled: Replayed,
  scaling: Scaling,
): readonly Ratio[] {
  return recorded.tensors.map((tensor, i) => ({
    tensor: tensor.name,
    factor: factorOf(tensor.name, scaling),
    ratio: of(scaled.tensors[i]!) / of(tensor),
  }))
}

/** The largest difference of a parameter's LCA over the run, as a share of the largest |LCA| of any. */
export function largestDifference(recorded: Replayed, scaled: Replayed): number {
  const most = (values: Float64Array): number =>
    values.reduce((max, value) => Math.max(max, Math.abs(value)), 0)
  return most(scaled.lca.map((value, i) => value - recorded.lca[i]!)) / most(recorded.lca)
}
