import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** An array for a .npy file: NumPy's name of its type, its shape, its elements. */
export interface NpyArray {
  readonly type: '<f4' | '<f8' | '<i8' | '<i4' | '|u1' | '|b1'
  readonly shape: readonly number[]
  readonly values: Float32Array | Float64Array | BigInt64Array | Int32Array | Uint8Array
}

/** The bytes of a .npy file, version 1.0. */
export function npyBytes({ type, shape, values }: NpyArray): Uint8Array {
  const sizes = shape.length === 1 ? `${shape[0]!},` : shape.join(', ')
  const text = `{'descr': '${type}', 'fortran_order': False, 'shape': (${sizes}), }`
  const header = Buffer.from(`${text.padEnd(117)}\n`, 'latin1')
  const start = Buffer.from('\x93NUMPY\x01\x00\x00\x00', 'latin1')
  start.writeUInt16LE(header.length, 8)
  return Buffer.concat([start, header, new Uint8Array(values.buffer, values.byteOffset, values.byteLength)])
}

/** Writes a folder of .npy files, one for each array, and gives its path. */
export function writeNpyFolder(path: string, arrays: Readonly<Record<string, NpyArray>>): string {
  mkdirSync(path, { recursive: true })
  for (const [name, array] of Object.entries(arrays))
    writeFileSync(join(path, `${name}.npy`), npyBytes(array))
  return path
}
