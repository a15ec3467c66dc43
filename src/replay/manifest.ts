import { cpus } from 'node:os'
import { ONNXRUNTIME_VERSION } from '../engines/onnxruntime.js'
import { ModelError } from '../errors.js'
import { sha256File } from '../io/hash.js'
import { lossChoices, lossName } from '../autodiff/losses.js'
import type { Manifest, ManifestFacts } from '../tables/manifest.js'
import { SCHEMA_VERSION } from '../tables/schema.js'
import type { BoundPair } from '../trajectory/bind.js'
import { VERSION } from '../version.js'
import type { RunOptions } from './options.js'
import type { Prepared } from './prepare.js'
import type { ReplayOutcome } from './replay.js'

/** What is known of a run before it starts; every table file carries it. */
export type RunFacts = Pick<Manifest, 'schema' | 'retrograd' | 'options' | 'model' | 'data' | 'tensors'> & {
  readonly device: Record<string, unknown>
  readonly trajectory: Record<string, unknown>
}

export async function runFacts(options: RunOptions, prepared: Prepared): Promise<RunFacts> {
  const { trajectory, binding, data, notes } = prepared
  return {
    schema: SCHEMA_VERSION,
    retrograd: {
      version: VERSION,
      node: process.version,
      platform: `${process.platform}-${process.arch}`,
      onnxruntime: ONNXRUNTIME_VERSION,
    },
    options: optionFacts(options, prepared.batchSize),
    model: {
      path: prepared.modelPath,
      sha256: await sha256File(prepared.modelPath, ModelError),
      binding: binding.how,
      ...(binding.origin && { exported_from: binding.origin }),
      constants: binding.constants,
      tied: binding.tied,
      batchnorm: prepared.batchNorm ?? null,
      ...(options.loss.kind === 'graph' && { loss_sha256: await sha256File(options.loss.path, ModelError) }),
    },
    data: await Promise.all(
      [...data].map(async ([split, { path, samples, sha256 }]) => ({
        split,
        path,
        samples,
        sha256: await sha256(),
      })),
    ),
    tensors: tensorFacts(prepared),
    device: { engine: 'onnxruntime', provider: 'cpu', cpu: cpus()[0]?.model ?? 'unknown' },
    trajectory: {
      path: trajectory.path,
      format: trajectory.format,
      step_unit: trajectory.stepUnit,
      left_out: trajectory.leftOut,
      notes,
    },
  }
}

function tensorFacts({ tensors, binding }: Prepared): RunFacts['tensors'] {
  return tensors.map((tensor, i) => ({
    tensor: tensor.name,
    checkpoint_name: tensor.checkpointName,
    parameter_name: tensor.parameterName,
    ...layoutFacts(binding.pairs[i]!),
    shape: [...tensor.shape],
    role: tensor.role,
    layer: tensor.layer,
    unit_axis: tensor.shape.length === 0 ? null : tensor.units.axis,
    parameters: tensor.size,
  }))
}

/** How a tensor was found, and what makes it the network's: an order of axes, then a shape. */
function layoutFacts({ by, permutation, reshaped }: BoundPair): Record<string, unknown> {
  return {
    bound_by: by,
    ...(permutation && { transpose: permutation }),
    ...(reshaped && { reshape: reshaped }),
  }
}

function optionFacts(options: RunOptions, batchSize: number): Record<string, unknown> {
  const { splits, loss, steps, weights, batchSize: asked, batchNorm, map, out, overwrite, ...plain } = options
  return {
    ...plain,
    splits: Object.fromEntries(splits),
    loss: lossName(loss),
    loss_options: lossChoices(loss),
    steps: steps ?? null,
    weights: weights ?? 'raw',
    map: map ?? null,
    batch_size: batchSize,
    batch_size_given: asked ?? null,
    batchnorm: batchNorm,
    out,
    overwrite,
  }
}

/** The manifest of a finished run. */
export async function manifestFacts(
  facts: RunFacts,
  { trajectory }: Prepared,
  outcome: ReplayOutcome,
  started: Date,
): Promise<ManifestFacts> {
  const checkpoints: Manifest['checkpoints'] = []
  for (const checkpoint of trajectory.checkpoints.slice(0, outcome.intervals + 1))
    checkpoints.push({
      path: checkpoint.path,
      step: checkpoint.step,
      fingerprint: await checkpoint.fingerprint(),
    })
  return {
    ...facts,
    status: outcome.interrupted ? 'interrupted' : 'complete',
    created: started.toISOString(),
    finished: new Date().toISOString(),
    checkpoints,
    result: {
      intervals: outcome.intervals,
      converged: outcome.converged,
      largest_residual: outcome.largestResidual,
      noise_floor: outcome.noiseFloor,
      evaluations: outcome.evaluations,
    },
  }
}
