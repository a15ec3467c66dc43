import { readFileSync } from 'node:fs'
import { expect } from 'chai'

import type { Checkpoint, Trajectory } from '../../src/trajectory/checkpoint.js'
import type { WeightKind } from '../../src/trajectory/formats/format.js'
import { openTrajectory } from '../../src/trajectory/open-trajectory.js'
import { isFloat } from '../../src/tensor.js'
import { readNpz } from '../support/npz.js'

export const FORMATS_FOLDER = 'fixtures/formats'

/** The training steps whose weights every fixture of the folder holds, in the order of its checkpoints. */
export const RECORDED_STEPS = [0, 10, 20, 30]

/** A tensor as its writer's library reads it. */
export interface Expected {
  readonly shape: readonly number[]
  readonly values: readonly number[]
}

/** The tensors of a recorded step under PyTorch's names, in PyTorch's layout. */
export async function recordedByPyTorch(step: number): Promise<Map<string, Expected>> {
  const { tensors } = JSON.parse(readFileSync(`${FORMATS_FOLDER}/expected.json`, 'utf8')) as {
    tensors: Record<string, number[]>
  }
  const read = await readNpz(`${FORMATS_FOLDER}/weights.npz`)
  const found = new Map<string, Expected>()
  for (const [name, shape] of Object.entries(tensors))
    found.set(name, { shape, values: [...(await read(`${name}@${step}`))] })
  return found
}

const KERAS_KEYS: Readonly<Record<string, string>> = {
  weight: 'kernel',
  bias: 'bias',
  running_mean: 'moving_mean',
  running_var: 'moving_variance',
}

/** The same under Keras' names and in its layout: kernels HWIO, matrices [in, out]. */
export async function recordedByKeras(step: number): Promise<Map<string, Expected>> {
  const found = new Map<string, Expected>()
  for (const [name, tensor] of await recordedByPyTorch(step)) {
    const [layer, key] = name.split('.') as [string, string]
    const own =
      layer === 'bn' ? ({ weight: 'gamma', bias: 'beta' }[key] ?? KERAS_KEYS[key]!) : KERAS_KEYS[key]!
    found.set(`${layer}/${own}`, channelsLast(tensor))
  }
  return found
}

const FLAX_NAMES: Readonly<Record<string, string>> = {
  gamma: 'params/bn/scale',
  beta: 'params/bn/bias',
  moving_mean: 'batch_stats/bn/mean',
  moving_variance: 'batch_stats/bn/var',
}

/** The same under Flax's names, in Keras' layout. */
export async function recordedByFlax(step: number): Promise<Map<string, Expected>> {
  const keras = await recordedByKeras(step)
  return new Map(
    [...keras].map(([name, tensor]) => [FLAX_NAMES[name.split('/')[1]!] ?? `params/${name}`, tensor]),
  )
}

/** OIHW as HWIO and [out, in] as [in, out]: axes in the order 2, 3, 1, 0, or 1, 0. */
function channelsLast({ shape, values }: Expected): Expected {
  if (shape.length === 1) return { shape, values }
  const order = shape.length === 4 ? [2, 3, 1, 0] : [1, 0]
  const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((a, b) => a * b, 1))
  const sizes = order.map((axis) => shape[axis]!)
  const moved = values.map((_, position) => {
    let rest = position
    let from = 0
    for (let axis = sizes.length - 1; axis >= 0; axis--) {
      from += (rest % sizes[axis]!) * strides[order[axis]!]!
      rest = Math.floor(rest / sizes[axis]!)
    }
    return values[from]!
  })
  return { shape: sizes, values: moved }
}

/** The float tensors of a checkpoint with their values. */
export async function floatsOf(
  checkpoint: Pick<Checkpoint, 'tensors' | 'read'>,
): Promise<Map<string, Expected>> {
  const found = new Map<string, Expected>()
  for (const [name, { dtype, shape }] of checkpoint.tensors)
    if (isFloat(dtype)) found.set(name, { shape, values: [...(await checkpoint.read(name)).data] })
  return found
}

/** Checks that a folder's checkpoints hold, bit for bit, what was recorded; returns the trajectory. */
export async function expectRecorded(
  id: string,
  recorded: (step: number) => Promise<Map<string, Expected>>,
  weights: WeightKind = 'raw',
): Promise<Trajectory> {
  const trajectory = await openTrajectory(`${FORMATS_FOLDER}/${id}`, { weights })
  expect(trajectory.checkpoints).to.have.length(RECORDED_STEPS.length)
  for (const [i, checkpoint] of trajectory.checkpoints.entries())
    expectTensors(await floatsOf(checkpoint), await recorded(RECORDED_STEPS[i]!), checkpoint.path)
  return trajectory
}

export function expectTensors(
  found: ReadonlyMap<string, Expected>,
  expected: ReadonlyMap<string, Expected>,
  where: string,
): void {
  expect([...found.keys()], where).to.have.members([...expected.keys()])
  for (const [name, tensor] of expected) expect(found.get(name), `${where}: ${name}`).to.deep.equal(tensor)
}

/** What the library itself reads of a format that keeps fewer digits (narrowed.json). */
export function narrowedBy(id: string): (step: number) => Promise<Map<string, Expected>> {
  const all = JSON.parse(readFileSync(`${FORMATS_FOLDER}/narrowed.json`, 'utf8')) as Record<
    string,
    Record<string, Record<string, Expected>>
  >
  return (step) => Promise.resolve(new Map(Object.entries(all[id]![step]!)))
}

/** `step: 0, 10, 20, 30`. */
export function stepsOf({ stepUnit, checkpoints }: Trajectory): string {
  return `${stepUnit}: ${checkpoints.map(({ step }) => step).join(', ')}`
}
