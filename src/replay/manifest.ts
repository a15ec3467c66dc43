import { createHash } from 'node:crypto'
import { cpus } from 'node:os'
import type { Sample } from '../data/sample.js'
import { shareOfTime } from '../engines/devices/placement.js'
import type { Placement } from '../engines/devices/placement.js'
import { ONNXRUNTIME_VERSION } from '../engines/version.js'
import { ModelError } from '../errors.js'
import { sha256File } from '../io/hash.js'
import { lossChoices, lossName } from '../autodiff/losses.js'
import { hashOf } from '../tables/identity.js'
import type { Identity } from '../tables/identity.js'
import type { Manifest, ManifestFacts } from '../tables/manifest.js'
import { SCHEMA_VERSION } from '../tables/schema.js'
import type { BoundPair } from '../trajectory/bind.js'
import { VERSION } from '../version.js'
import type { ReplayNetwork } from './network.js'
import type { RunOptions } from './options.js'
import type { Prepared } from './prepare.js'
import type { Outcome } from './state.js'
import type { Sizing } from './workers/sizing.js'

/** What is known of a run before it starts; every table file carries it. */
export type RunFacts = Pick<Manifest, 'schema' | 'retrograd' | 'options' | 'model' | 'data' | 'tensors'> & {
  readonly device: Record<string, unknown>
  readonly trajectory: Record<string, unknown>
}

export async function runFacts(
  options: RunOptions,
  prepared: Prepared,
  { threads }: Sizing,
): Promise<RunFacts> {
  const { trajectory, network, device, data, notes } = prepared
  const { binding } = network
  return {
    schema: SCHEMA_VERSION,
    retrograd: {
      version: VERSION,
      node: process.version,
      platform: `${process.platform}-${process.arch}`,
      ...engineVersion(network),
    },
    options: optionFacts(options, prepared),
    model: {
      path: network.path,
      sha256: await sha256File(network.path, ModelError),
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
        ...sampleFacts(prepared.samples.get(split)),
        ...(prepared.fisher && { fisher_samples: prepared.fisher.get(split)!.length }),
      })),
    ),
    tensors: tensorFacts(network),
    device: {
      engine: options.engine ?? 'onnxruntime',
      provider: device.device,
      ...(device.adapter !== undefined && { adapter: device.adapter }),
      ...network.engineFacts,
      cpu: cpus()[0]?.model ?? 'unknown',
      threads,
    },
    trajectory: {
      path: trajectory.path,
      format: trajectory.format,
      step_unit: trajectory.stepUnit,
      left_out: trajectory.leftOut,
      notes,
    },
  }
}

/** The version of the library that computed. */
function engineVersion({ engineFacts }: ReplayNetwork): Pick<RunFacts['retrograd'], 'onnxruntime' | 'tfjs'> {
  return engineFacts === undefined ? { onnxruntime: ONNXRUNTIME_VERSION } : { tfjs: engineFacts.version }
}

/** How a split's samples were drawn, where they are not all that there are. */
function sampleFacts(sample: Sample | undefined): Record<string, unknown> {
  if (sample === undefined) return {}
  const { population, groups, groupSize, seed } = sample
  return { sample: { population, groups, group_size: groupSize, seed } }
}

function tensorFacts({ tensors, binding, allocated }: ReplayNetwork): RunFacts['tensors'] {
  const pairs = new Map(binding.pairs.map((pair) => [pair.name, pair]))
  return tensors.slice(0, allocated).map((tensor) => ({
    tensor: tensor.name,
    checkpoint_name: tensor.checkpointName,
    parameter_name: tensor.parameterName,
    ...layoutFacts(pairs.get(tensor.name)!),
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

function optionFacts(
  options: RunOptions,
  { batchSize, fromMemory }: Pick<Prepared, 'batchSize' | 'fromMemory'>,
): Record<string, unknown> {
  const { splits, loss, steps, weights, batchSize: asked, batchNorm, map, out, overwrite, ...plain } = options
  const { intervals, fisher, workers, threads, engine, device, strictDevice, precision, ...more } = plain
  const { tf32, deviceMemory, ...others } = more
  return {
    ...others,
    splits: Object.fromEntries(splits),
    loss: lossName(loss),
    loss_options: lossChoices(loss),
    steps: steps ?? null,
    weights: weights ?? 'raw',
    map: map ?? null,
    // what a device's memory allows is no option: it may differ when the run goes on, and is a fact of the result
    batch_size: fromMemory === undefined ? batchSize : null,
    batch_size_given: asked ?? null,
    batchnorm: batchNorm,
    intervals: intervals ?? null,
    fisher_samples: fisher?.samples ?? null,
    fisher_seed: fisher?.seed ?? null,
    workers: workers ?? null,
    threads: threads ?? null,
    engine: engine ?? 'onnxruntime',
    device: device ?? 'auto',
    strict_device: strictDevice ?? false,
    precision: precision ?? 'float32',
    tf32: tf32 ?? false,
    device_memory: deviceMemory ?? null,
    out,
    overwrite,
  }
}

/** Options that say where things are or how fast they go, on which results don't depend, and which part is asked for. */
const WITHOUT_EFFECT = [
  'checkpoints',
  'model',
  'splits',
  'out',
  'overwrite',
  'workers',
  'threads',
  'device',
  'strict_device',
  'device_memory',
  'batch_size_given',
  'intervals',
]

/** What the results of a run depend on, inputs by their contents. */
export function identityOf(facts: RunFacts, { trajectory }: Prepared): Identity {
  const options = Object.entries(facts.options).filter(([name]) => !WITHOUT_EFFECT.includes(name))
  const checkpoints = trajectory.checkpoints.map(({ step, bytes }) => `${step}:${bytes}`).join(' ')
  const { binding, loss_sha256, sha256 } = facts.model
  return {
    schema: facts.schema,
    ...Object.fromEntries(options),
    model: sha256,
    binding,
    'loss file': loss_sha256 ?? null,
    ...Object.fromEntries(facts.data.map((data) => [`data of ${data.split}`, data.sha256])),
    checkpoints: `${trajectory.checkpoints.length}, ${createHash('sha256').update(checkpoints).digest('hex')}`,
    tensors: hashOf({ tensors: facts.tensors }),
    ...facts.device,
    ...(facts.retrograd.onnxruntime !== undefined && { onnxruntime: facts.retrograd.onnxruntime }),
    retrograd: facts.retrograd.version,
  }
}

/** Where the nodes of a gradient ran: counts, milliseconds of one run, shares from 0 to 1. */
function placementFacts(placement: Placement): Record<string, unknown> {
  const { nodes, onDevice, elsewhere, ms, msElsewhere, copies } = placement
  return {
    nodes,
    nodes_on_device: onDevice,
    nodes_elsewhere: Object.fromEntries(elsewhere.map(({ op, nodes: count }) => [op, count])),
    copies,
    ms,
    ms_elsewhere: msElsewhere,
    share_of_nodes: nodes > 0 ? onDevice / nodes : 1,
    share_of_time: shareOfTime(placement),
  }
}

/** The manifest of a finished run, or of a part of one. */
export async function manifestFacts(
  facts: RunFacts,
  prepared: Prepared,
  outcome: Outcome,
  {
    started,
    intervals,
    placement,
    loops,
  }: {
    readonly started: Date
    readonly intervals?: RunOptions['intervals']
    /** Where nodes ran, on a device that told. */
    readonly placement?: Placement
    /** Whether the device looped over micro-batches in the graph, where that was measured. */
    readonly loops?: boolean
  },
): Promise<ManifestFacts> {
  const { trajectory } = prepared
  const all = trajectory.checkpoints.length - 1
  const { from, to } = intervals ?? { from: 0, to: all }
  const checkpoints: Manifest['checkpoints'] = []
  for (const [index, checkpoint] of trajectory.checkpoints.entries()) {
    if (index < from || index > to) continue
    const fingerprint = outcome.fingerprints.get(index) ?? (await checkpoint.fingerprint())
    checkpoints.push({ path: checkpoint.path, step: checkpoint.step, fingerprint })
  }
  return {
    ...facts,
    device: {
      ...facts.device,
      ...(placement && { placement: placementFacts(placement) }),
      ...(loops !== undefined && { loops_in_graph: loops }),
    },
    status: intervals === undefined ? 'complete' : 'part',
    identity: hashOf(identityOf(facts, prepared)),
    intervals: { from, to, of: all },
    created: started.toISOString(),
    finished: new Date().toISOString(),
    checkpoints,
    result: {
      intervals: outcome.intervals,
      converged: outcome.converged,
      largest_residual: outcome.largestError,
      largest_estimate: outcome.largestEstimate,
      noise_floor: outcome.noiseFloor,
      evaluations: outcome.evaluations,
      batch_size: outcome.batchSize,
      messages: outcome.messages,
    },
  }
}
