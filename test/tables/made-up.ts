import type { ManifestFacts } from '../../src/tables/manifest.js'
import type { Batch, Granularity, Role } from '../../src/tables/schema.js'
import type { ResultsWriter } from '../../src/tables/writer.js'

interface MadeUpTensor {
  readonly tensor: string
  readonly layer: string
  readonly role: Role
  readonly units: number
  readonly perUnit: number
}

const TENSORS: readonly MadeUpTensor[] = [
  { tensor: 'conv1.weight', layer: 'conv1', role: 'weight', units: 4, perUnit: 9 },
  { tensor: 'conv1.bias', layer: 'conv1', role: 'bias', units: 4, perUnit: 1 },
  { tensor: 'fc.weight', layer: 'fc', role: 'weight', units: 10, perUnit: 16 },
]
const PARAMETERS = TENSORS.reduce((sum, { units, perUnit }) => sum + units * perUnit, 0)
export const SPLITS = ['train', 'val'] as const

/** LCA as float32 values, so that what the parameters table stores adds up exactly; some are zero, and both signs occur. */
export function madeUpLca(split: number, interval: number, tensor: number, parameter: number): number {
  if (parameter % 7 === 3) return 0
  const wave = Math.sin(1 + 12.9898 * parameter + 78.233 * tensor + 37.719 * interval + 4.1 * split)
  return Math.fround(wave * 1e-3)
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)
const count = (values: readonly number[], holds: (value: number) => boolean): number =>
  values.filter(holds).length
const helping = (values: readonly number[]): number => count(values, (value) => value < 0)
const hurting = (values: readonly number[]): number => count(values, (value) => value > 0)
const range = (length: number): number[] => Array.from({ length }, (_, i) => i)

interface Place {
  readonly split: number
  readonly interval: number
}

/** Tables of a made-up run whose numbers agree with each other as a replay's would. */
export function writeMadeUpRun(writer: ResultsWriter, granularity: Granularity, intervals: number): void {
  for (const interval of range(intervals)) {
    for (const split of range(SPLITS.length)) appendInterval(writer, granularity, { split, interval })
    if (interval % 32 === 31) writer.endBlock()
  }
  writer.endBlock()
  for (const split of range(SPLITS.length)) appendTotals(writer, split, intervals)
}

function appendInterval(writer: ResultsWriter, granularity: Granularity, place: Place): void {
  const { split, interval } = place
  const key = { split: SPLITS[split]!, interval, step_from: interval * 10, step_to: interval * 10 + 10 }
  const lca = TENSORS.map(({ units, perUnit }, t) =>
    range(units * perUnit).map((p) => madeUpLca(split, interval, t, p)),
  )
  const perTensor = lca.map(sum)
  writer.append('steps', 1, { ...key, ...stepsRow(lca.flat(), sum(perTensor)) })
  writer.append('tensors', TENSORS.length, { ...key, ...tensorRows(lca, perTensor) })
  TENSORS.forEach((tensor, t) => {
    if (granularity !== 'tensor')
      writer.append('units', tensor.units, { ...key, ...unitRows(tensor, lca[t]!) })
    if (granularity !== 'parameter') return
    const shape = [tensor.units, tensor.perUnit]
    writer.append('parameters', 1, {
      ...key,
      tensor: tensor.tensor,
      shape: [shape],
      lca: [Float32Array.from(lca[t]!)],
    })
  })
}

type Key = 'split' | 'interval' | 'step_from' | 'step_to'

function stepsRow(lca: readonly number[], total: number): Omit<Batch<'steps'>, Key> {
  const lossChange = total * 1.001
  return {
    loss_from: 2,
    loss_to: 2 + lossChange,
    loss_change: lossChange,
    lca: total,
    rest: NaN,
    residual: total - lossChange,
    first_order: total * 1.5,
    splits: 2,
    evaluations: 2,
    converged: true,
    parameters: PARAMETERS,
    helping: helping(lca),
    hurting: hurting(lca),
    still: PARAMETERS - helping(lca) - hurting(lca),
    update_norm: 0.1,
    gradient_norm: 0.2,
    cosine: NaN,
    cosine_movement: NaN,
    lca_se: NaN,
    loss_change_se: NaN,
    step_unit: 'step',
  }
}

function tensorRows(lca: readonly number[][], totals: readonly number[]): Omit<Batch<'tensors'>, Key> {
  const negative = lca.map((values) => values.filter((value) => value < 0))
  const positive = lca.map((values) => values.filter((value) => value > 0))
  return {
    tensor: TENSORS.map(({ tensor }) => tensor),
    layer: TENSORS.map(({ layer }) => layer),
    role: TENSORS.map(({ role }) => role),
    parameters: lca.map(({ length }) => length),
    lca: totals,
    lca_helping: negative.map(sum),
    lca_hurting: positive.map(sum),
    helping: negative.map(({ length }) => length),
    hurting: positive.map(({ length }) => length),
    still: lca.map((values) => count(values, (value) => value === 0)),
    first_order: totals.map((value) => value * 1.5),
    update_norm: 0.1,
    gradient_norm: 0.2,
    cosine: 0.5,
    cosine_previous: NaN,
    cosine_movement: NaN,
    weight_norm: 3,
    lca_se: NaN,
  }
}

function unitRows(
  { tensor, units, perUnit }: MadeUpTensor,
  lca: readonly number[],
): Omit<Batch<'units'>, Key> {
  const perUnitLca = range(units).map((unit) => lca.slice(unit * perUnit, (unit + 1) * perUnit))
  return {
    tensor,
    unit: range(units),
    lca: perUnitLca.map(sum),
    helping: perUnitLca.map(helping),
    hurting: perUnitLca.map(hurting),
    first_order: 0,
  }
}

function appendTotals(writer: ResultsWriter, split: number, intervals: number): void {
  TENSORS.forEach(({ tensor, units, perUnit }, t) => {
    const rows = units * perUnit
    const perParameter = range(rows).map((p) => range(intervals).map((i) => madeUpLca(split, i, t, p)))
    writer.append('totals', rows, {
      split: SPLITS[split]!,
      tensor,
      index: range(rows),
      unit: range(rows).map((p) => Math.floor(p / perUnit)),
      lca: perParameter.map(sum),
      helped: perParameter.map(helping),
      hurt: perParameter.map(hurting),
      lca_flips: 0,
      movement_flips: 0,
      gradient_flips: 0,
      undone: 0,
      movement: 0.01,
      path_length: 0.02,
      fisher: NaN,
    })
  })
}

/** A manifest's facts for the made-up run. */
export function madeUpFacts(): ManifestFacts {
  return {
    schema: 3,
    status: 'complete',
    created: '2026-01-02T03:04:05.000Z',
    finished: '2026-01-02T03:05:05.000Z',
    retrograd: { version: '0.0.0', node: process.version, platform: process.platform },
    options: { quadrature: 'simpson', tolerance: 0.001 },
    model: { path: 'model.onnx', sha256: '00' },
    data: SPLITS.map((split) => ({ split, path: `${split}.npz`, samples: 10, sha256: '00' })),
    checkpoints: [{ path: 'step-000000.safetensors', step: 0, fingerprint: '00' }],
    tensors: TENSORS.map(({ tensor, role, layer, units, perUnit }) => ({
      tensor,
      checkpoint_name: tensor,
      parameter_name: tensor,
      shape: [units, perUnit],
      role,
      layer,
      unit_axis: 0,
      parameters: units * perUnit,
    })),
    result: { intervals: 1, converged: 1 },
  }
}
