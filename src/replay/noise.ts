import type { Cut } from '../engines/micro-batches.js'
import { MovementReader } from './allocation.js'
import type { Arrays } from './allocation.js'
import type { Endpoint } from './endpoints.js'
import { meanLoss } from './loss.js'
import { withFiles } from './store/array-file.js'
import { fileNames } from './store/store.js'
import type { WeightFiles } from './weight-files.js'
import type { Evaluator } from './workers/evaluator.js'

export interface NoiseContext {
  readonly arrays: Arrays
  readonly evaluator: Pick<Evaluator, 'evaluate'>
  readonly weights: WeightFiles
  readonly cut: Cut
  readonly splits: readonly { readonly samples: number }[]
}

/**
 * How far float32 rounding alone moves a residual, estimated once per run: the first checkpoint is evaluated again
 * with the micro-batches cut differently (the first one half as long). A residual holds two losses and an integral of
 * the gradient times the movement, so the estimate is twice the difference of the losses plus the difference of the
 * first-order terms, the largest over the splits. Zero where a split is a single sample.
 *
 * @param start what was found at the first checkpoint; its gradients must be in their files
 */
export async function estimateNoiseFloor(context: NoiseContext, start: Endpoint): Promise<number> {
  const { evaluator, weights, cut, splits, arrays } = context
  await Promise.all([weights.ensure(0), weights.ensure(1)])
  const samples = Math.min(...splits.map((split) => split.samples))
  const recut = { size: cut.size, first: Math.max(1, Math.floor(Math.min(cut.size, samples) / 2)) }
  const floors = await Promise.all(
    splits.map(async (_, split) => {
      const out = fileNames.noise(split)
      const task = { split, from: 0, to: 0, a: 0, cut: recut, out, movements: [] }
      const loss = meanLoss(await evaluator.evaluate(task, 0, () => undefined))
      const gap = firstOrderGap(arrays, split)
      arrays.store.remove(out)
      return 2 * Math.abs(loss - start.losses[split]!) + Math.abs(gap)
    }),
  )
  return Math.max(...floors)
}

/** The difference of the first-order terms of the first interval that the two gradients give. */
function firstOrderGap(arrays: Arrays, split: number): number {
  const { store, layout } = arrays
  const names = [
    fileNames.weights(0),
    fileNames.weights(1),
    fileNames.noise(split),
    fileNames.gradient(0, split),
  ]
  return withFiles(
    names.map((name) => store.path(name)),
    ([from, to, ...files]) => {
      const movement = new MovementReader(arrays, [from!, to!])
      const buffers = arrays.buffers.take(files.length)
      let gap = 0
      for (const { offset, count } of layout.chunks()) {
        const [a, b] = files.map((file, i) =>
          file.read(buffers[i]!.subarray(0, count), offset * Float64Array.BYTES_PER_ELEMENT),
        )
        const ends = movement.read(offset, count)
        for (let i = 0; i < count; i += 1) gap += (a![i]! - b![i]!) * (ends.to[i]! - ends.from[i]!)
      }
      return gap
    },
  )
}
