import { readFileSync } from 'node:fs'
import { basename, join } from 'node:path'

import type { Seed } from './seeds.js'

/** Files whose every number has a checksum: zip archives (NumPy, PyTorch, Keras), gzip, PNG; and by name TensorFlow's. */
const SIGNATURES = ['PK\x03\x04', '\x1f\x8b', '\x89PNG'] as const
const TENSORFLOW = /\.index$|\.data-\d{5}-of-\d{5}$/

/** PyTorch writes none where it is told so. */
const WITHOUT = ['no-checksums.pt']

/**
 * Whether damage to a file must be noticed, or leave all numbers as they are. Parquet's checksums leave out its headers,
 * those of a zip archive its directory: what a number is called may change, and how many there are.
 */
export function isChecksummed({ folder }: Seed, file: string): boolean {
  if (WITHOUT.includes(basename(file))) return false
  const head = readFileSync(join(folder, file)).subarray(0, 4).toString('latin1')
  return TENSORFLOW.test(file) || SIGNATURES.some((signature) => head.startsWith(signature))
}
