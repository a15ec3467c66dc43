import { Random } from '../../test/support/random.js'

/** A way to damage a file. Each keeps at least one byte. */
type Mutation = (bytes: Buffer, random: Random) => Buffer

/** Values that headers trip over: the ends of integer types, and sizes that multiply to more than memory. */
const EXTREMES = [
  [0xff, 0xff, 0xff, 0xff],
  [0xff, 0xff, 0xff, 0x7f],
  [0x00, 0x00, 0x00, 0x80],
  [0x7f, 0xff, 0xff, 0xff],
  [0x00, 0x00, 0x00, 0x40],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
  [0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00],
  [0x00, 0x00, 0x00, 0x00],
] as const

/** Most headers lie within so many bytes of either end. */
const HEADER = 1024

const MUTATIONS: Readonly<Record<string, Mutation>> = {
  'bit flips': (bytes, random) => {
    for (let count = 1 + below(8, random); count > 0; count -= 1)
      bytes[position(bytes, random)]! ^= 1 << below(8, random)
    return bytes
  },
  truncation: (bytes, random) => bytes.subarray(0, Math.max(1, below(bytes.length, random))),
  'extreme numbers': (bytes, random) => {
    const values = EXTREMES[below(EXTREMES.length, random)]!
    const at = position(bytes, random)
    for (const [i, value] of values.entries()) if (at + i < bytes.length) bytes[at + i] = value
    return bytes
  },
  'random bytes': (bytes, random) => {
    const at = position(bytes, random)
    const count = Math.min(1 + below(16, random), bytes.length - at)
    for (let i = 0; i < count; i += 1) bytes[at + i] = below(256, random)
    return bytes
  },
  splice: (bytes, random) => {
    const [from, to] = [position(bytes, random), position(bytes, random)]
    const count = Math.min(1 + below(64, random), bytes.length - Math.max(from, to))
    bytes.copyWithin(to, from, from + count)
    return bytes
  },
  'bytes left out': (bytes, random) => {
    const at = position(bytes, random)
    return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + below(16, random)), Buffer.of(0)])
  },
  'bytes put in': (bytes, random) => {
    const at = position(bytes, random)
    const more = Buffer.from(Array.from({ length: 1 + below(16, random) }, () => below(256, random)))
    return Buffer.concat([bytes.subarray(0, at), more, bytes.subarray(at)])
  },
}

export const MUTATION_NAMES = Object.keys(MUTATIONS)

/** A damaged copy of a file, the same for the same name and seed. */
export function mutate(bytes: Uint8Array, name: string, seed: string): Buffer {
  return MUTATIONS[name]!(Buffer.from(bytes), new Random(`${name} ${seed}`))
}

/** Half of the places are near an end, where headers and directories are. */
function position(bytes: Buffer, random: Random): number {
  const near = Math.min(HEADER, bytes.length)
  const where = random.next()
  if (where < 0.35) return below(near, random)
  if (where < 0.5) return bytes.length - 1 - below(near, random)
  return below(bytes.length, random)
}

function below(count: number, random: Random): number {
  return Math.floor(random.next() * count)
}
