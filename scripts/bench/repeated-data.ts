import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { openArrayFile } from '../../src/data/array-files.js'
import { readFloats } from '../../src/data/convert.js'
import { reference } from './common.js'

export const SPLITS = ['train', 'val'] as const

/**
 * Writes both splits of a reference case, repeated, as folders of .npy files. Their `x` is float32, or int64 where it
 * holds tokens, and `y` int64.
 */
export async function writeRepeated(name: string, times: number, folder: string): Promise<void> {
  for (const split of SPLITS) {
    const out = join(folder, split)
    mkdirSync(out, { recursive: true })
    const file = await openArrayFile(join(reference(name), `${split}.npz`))
    for (const array of file.arrays) {
      if (!('dtype' in array)) continue
      const values = await readFloats(array, 'float32', 1)
      const whole = new Float32Array(values.length * times)
      for (let i = 0; i < times; i += 1) whole.set(values, i * values.length)
      const shape = [array.shape[0]! * times, ...array.shape.slice(1)]
      const isWhole = array.dtype === 'int64'
      const data = isWhole ? BigInt64Array.from(whole, BigInt) : whole
      writeFileSync(join(out, `${array.name}.npy`), npy(isWhole ? '<i8' : '<f4', shape, data))
    }
  }
}

/** A .npy file of version 1.0. @param type as numpy writes it, such as `<f4` */
export function npy(type: string, shape: readonly number[], data: Float32Array | BigInt64Array): Buffer {
  const sizes = shape.length === 1 ? `${shape[0]!},` : shape.join(', ')
  const header = Buffer.from(
    `{'descr': '${type}', 'fortran_order': False, 'shape': (${sizes}), }`.padEnd(117) + '\n',
  )
  const start = Buffer.from('\x93NUMPY\x01\x00\x00\x00', 'latin1')
  start.writeUInt16LE(header.length, 8)
  return Buffer.concat([start, header, new Uint8Array(data.buffer)])
}
