import { elementCount, sameShape } from '../tensor.js'
import type { TensorInfo } from './checkpoint.js'
import type { BoundCheckpoint } from './network.js'
import { inFloat32, isDistinctive } from './numbers.js'

/** A tensor that the checkpoints hold twice: a weight with two uses, saved under both names. */
export interface TiedTensor {
  readonly tensor: string
  /** The tensor of the same numbers that is bound. */
  readonly same: string
}

/**
 * Tensors left over that are other names of bound ones: the same numbers in the first checkpoint and the last, too
 * different to be equal by chance.
 */
export async function findTied(
  leftOver: readonly TensorInfo[],
  bound: readonly TensorInfo[],
  checkpoints: readonly BoundCheckpoint[],
): Promise<TiedTensor[]> {
  const tied: TiedTensor[] = []
  for (const { name, shape } of leftOver) {
    if (elementCount(shape) < 2) continue
    for (const other of bound) {
      if (!sameShape(shape, other.shape) || !(await areEqual(name, other.name, checkpoints))) continue
      tied.push({ tensor: name, same: other.name })
      break
    }
  }
  return tied
}

async function areEqual(a: string, b: string, checkpoints: readonly BoundCheckpoint[]): Promise<boolean> {
  for (const checkpoint of [checkpoints.at(-1)!, checkpoints[0]!]) {
    const own = inFloat32((await checkpoint.read(a)).data)
    const other = inFloat32((await checkpoint.read(b)).data)
    if (!isDistinctive(own) || !own.every((value, i) => value === other[i])) return false
  }
  return true
}
