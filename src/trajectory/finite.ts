import { CheckpointError } from '../errors.js'
import { firstNotFinite, type FloatArray, type Tensor } from '../tensor.js'
import type { Checkpoint } from './checkpoint.js'

/**
 * Checks that a tensor of a checkpoint holds numbers only.
 * @throws CheckpointError when it holds NaN or infinity: training has diverged there
 */
export function checkFinite(
  tensor: Tensor<FloatArray>,
  checkpoint: Pick<Checkpoint, 'path' | 'step'>,
  name: string,
): void {
  const { data, shape } = tensor
  const first = firstNotFinite(data)
  if (first === -1) return
  let count = 0
  for (const value of data) if (!Number.isFinite(value)) count++
  const { path, step } = checkpoint
  throw new CheckpointError(
    `step ${step} (${path}): tensor ${name} holds ${data[first]!} at index [${indexOf(first, shape).join(', ')}] ` +
      `(${count} of ${data.length} values are not finite)${remedy(step)}`,
  )
}

function remedy(step: number): string {
  return step > 0 ? `; \`--steps 0:${step - 1}\` replays what is before it` : ''
}

/** The index along each axis of a row-major position. */
export function indexOf(position: number, shape: readonly number[]): number[] {
  const index = new Array<number>(shape.length)
  let rest = position
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    index[axis] = rest % shape[axis]!
    rest = Math.floor(rest / shape[axis]!)
  }
  return index
}
