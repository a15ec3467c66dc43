import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { elementCount } from '../../src/tensor.js'
import { openTrajectory } from '../../src/trajectory/open-trajectory.js'
import { safetensorsFile } from '../trajectory/write-checkpoints.js'

/** A tensor under another name, its axes in another order (as NumPy's transpose). */
export interface Relaid {
  readonly name: string
  readonly permutation: readonly number[]
}

/** Element by element, by indices along the axes: the plain definition of a transposition. */
export function transpose(
  values: ArrayLike<number>,
  shape: readonly number[],
  permutation: readonly number[],
): number[] {
  const sizes = permutation.map((axis) => shape[axis]!)
  return Array.from({ length: values.length }, (_, target) => {
    const index = new Array<number>(shape.length)
    let rest = target
    for (let i = sizes.length - 1; i >= 0; i -= 1) {
      index[permutation[i]!] = rest % sizes[i]!
      rest = Math.floor(rest / sizes[i]!)
    }
    return values[index.reduce((at, along, axis) => at * shape[axis]! + along, 0)]!
  })
}

/** Rewrites a trajectory as safetensors files in which tensors have other names and layouts. */
export async function relaid(
  from: string,
  folder: string,
  change: (name: string, rank: number) => Relaid,
): Promise<string> {
  mkdirSync(folder, { recursive: true })
  const trajectory = await openTrajectory(from)
  for (const checkpoint of trajectory.checkpoints) {
    const { step, tensors } = checkpoint
    const header: Record<string, unknown> = { __metadata__: { step: String(step) } }
    const data: number[] = []
    for (const [name, { shape, dtype }] of tensors) {
      if (dtype !== 'float32') continue
      const { name: newName, permutation } = change(name, shape.length)
      const begin = 4 * data.length
      data.push(...transpose((await checkpoint.read(name)).data, shape, permutation))
      const offsets = [begin, begin + 4 * elementCount(shape)]
      header[newName] = {
        dtype: 'F32',
        shape: permutation.map((axis) => shape[axis]!),
        data_offsets: offsets,
      }
    }
    const bytes = new Uint8Array(Float32Array.from(data).buffer)
    writeFileSync(join(folder, `step-${step}.safetensors`), safetensorsFile(header, bytes))
  }
  return folder
}

/** The names that Keras has for PyTorch's, and the layout that goes with them. */
export function kerasNames(separated: (layer: string, leaf: string) => string) {
  const words: Readonly<Record<string, string>> = {
    weight: 'gamma',
    bias: 'beta',
    running_mean: 'moving_mean',
    running_var: 'moving_variance',
  }
  return (name: string, rank: number): Relaid => {
    const [layer, leaf] = name.split('.') as [string, string]
    const word = layer === 'bn' ? words[leaf]! : leaf === 'weight' ? 'kernel' : leaf
    const permutation =
      rank === 4 ? [2, 3, 1, 0] : rank === 2 ? [1, 0] : Array.from({ length: rank }, (_, i) => i)
    return { name: separated(layer, word), permutation }
  }
}
