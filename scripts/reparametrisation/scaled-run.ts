import { mkdirSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { elementCount } from '../../src/tensor.js'
import { openTrajectory } from '../../src/trajectory/open-trajectory.js'
import { safetensorsFile } from '../../test/trajectory/write-checkpoints.js'

/** A layer that ends in a ReLU, the one behind it, and the factor between them. */
export interface Scaling {
  readonly up: string
  readonly down: string
  readonly by: number
}

/** What a tensor is multiplied with: relu(c z) = c relu(z), so that weights and biases c, then weights 1/c are the same function. */
export function factorOf(tensor: string, { up, down, by }: Scaling): number {
  if (tensor.startsWith(`${up}.`)) return by
  return tensor === `${down}.weight` ? 1 / by : 1
}

/**
 * Writes the checkpoints of a trajectory of float32 tensors again, scaled, rounded to float32 (exact where the factor is a
 * power of two), in order under their names.
 */
export async function writeScaled(from: string, folder: string, scaling: Scaling): Promise<void> {
  mkdirSync(folder, { recursive: true })
  for (const checkpoint of (await openTrajectory(from)).checkpoints) {
    const header: Record<string, unknown> = {}
    const parts: Uint8Array[] = []
    let end = 0
    for (const [name, { shape }] of checkpoint.tensors) {
      const factor = factorOf(name, scaling)
      const values = Float32Array.from((await checkpoint.read(name)).data, (value) => factor * value)
      parts.push(new Uint8Array(values.buffer))
      const begin = end
      end += values.BYTES_PER_ELEMENT * elementCount(shape)
      header[name] = { dtype: 'F32', shape, data_offsets: [begin, end] }
    }
    writeFileSync(join(folder, basename(checkpoint.path)), safetensorsFile(header, Buffer.concat(parts)))
  }
}
