import { elementCount } from '../../src/tensor.js'
import type { Checkpoint, TensorInfo } from '../../src/trajectory/checkpoint.js'

/** A checkpoint in memory; tensors without numbers are zero. */
export function checkpointOf(
  tensors: readonly TensorInfo[],
  step: number,
  numbers: Readonly<Record<string, readonly number[]>> = {},
): Checkpoint {
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]))
  return {
    path: `step-${step}.pt`,
    step,
    bytes: 0,
    tensors: byName,
    read: (name) => {
      const { shape, dtype } = byName.get(name)!
      const data = Float32Array.from(numbers[name] ?? new Array<number>(elementCount(shape)).fill(0))
      return Promise.resolve({ shape, dtype, data })
    },
    fingerprint: () => Promise.resolve(String(step)),
  }
}
