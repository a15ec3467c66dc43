import { elementCount } from '../tensor.js'
import type { TensorInfo } from './checkpoint.js'
import { isStatistic } from './fold.js'
import type { BoundCheckpoint, NetworkTensor } from './network.js'
import { sameNumbers } from './numbers.js'
import { ownerOf } from './translate.js'

/**
 * Tensors left over that are no part of the network and change nothing: class weights of the loss, rotary frequencies, a
 * frozen network that only the training loss read. They hold the same numbers in the first checkpoint and the last, so
 * that no change of the loss is theirs. Not those that the network may hold in another form: of a normalization that may
 * be folded, or as large as a weight that has no tensor.
 */
export async function findUnmoved(
  leftOver: readonly TensorInfo[],
  missing: readonly NetworkTensor[],
  checkpoints: readonly BoundCheckpoint[],
): Promise<string[]> {
  const statistics = leftOver.filter(({ name }) => isStatistic(name))
  const normalizations = new Set(statistics.map(({ name }) => ownerOf(name)))
  const weights = missing.filter(({ literal }) => literal !== true)
  const sizes = new Set(weights.map(({ shape }) => elementCount(shape)))
  const unmoved: string[] = []
  for (const { name, shape } of leftOver) {
    if (normalizations.has(ownerOf(name)) || sizes.has(elementCount(shape))) continue
    if (await staysEqual(name, checkpoints)) unmoved.push(name)
  }
  return unmoved
}

async function staysEqual(name: string, checkpoints: readonly BoundCheckpoint[]): Promise<boolean> {
  const [first, last] = [checkpoints[0]!, checkpoints.at(-1)!]
  if (first === last) return false
  const [before, after] = [await first.read(name), await last.read(name)]
  return sameNumbers(before.data, after.data)
}
