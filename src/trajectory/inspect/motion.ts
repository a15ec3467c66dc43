import type { FloatArray, StoredDType } from '../../tensor.js'

/** What one pass over a tensor's numbers at a checkpoint finds. */
export interface Motion {
  /** Euclidean norm of the weights. */
  readonly norm: number
  /** Euclidean distance from the checkpoint before, and from the one before that; NaN where there is none. */
  readonly update: number
  readonly update2: number
  /** Expected Euclidean norm of the rounding to the stored type; 0 for float32 and float64. */
  readonly rounding: number
  /** Numbers that are NaN or infinite; they are left out of the norms. */
  readonly notFinite: number
}

/** Explicit fraction bits, and the exponent of the smallest normal number, of the types that are narrower than float32. */
const NARROW: Partial<Readonly<Record<StoredDType, { fraction: number; smallest: number }>>> = {
  float16: { fraction: 10, smallest: -14 },
  bfloat16: { fraction: 7, smallest: -126 },
  float8_e4m3fn: { fraction: 3, smallest: -6 },
  float8_e5m2: { fraction: 2, smallest: -14 },
  float8_e4m3fnuz: { fraction: 3, smallest: -7 },
  float8_e5m2fnuz: { fraction: 2, smallest: -15 },
}

/** Measures a tensor against the same one at the two checkpoints before. Sums are float64. */
export function measureMotion(
  now: FloatArray,
  dtype: StoredDType,
  before?: FloatArray,
  twoBefore?: FloatArray,
): Motion {
  let [norm, update, update2, notFinite] = [0, 0, 0, 0]
  for (let i = 0; i < now.length; i++) {
    const value = now[i]!
    if (!Number.isFinite(value)) {
      notFinite += 1
      continue
    }
    norm += value * value
    if (before !== undefined) update += square(value - before[i]!)
    if (twoBefore !== undefined) update2 += square(value - twoBefore[i]!)
  }
  return {
    norm: Math.sqrt(norm),
    update: before === undefined ? NaN : Math.sqrt(update),
    update2: twoBefore === undefined ? NaN : Math.sqrt(update2),
    rounding: roundingOf(now, dtype),
    notFinite,
  }
}

/** A difference to what is not finite counts as none. */
function square(difference: number): number {
  return Number.isFinite(difference) ? difference * difference : 0
}

/** A number rounded to the nearest multiple of u is off by u / sqrt(12) in the mean square. */
function roundingOf(values: FloatArray, dtype: StoredDType): number {
  const type = NARROW[dtype]
  if (type === undefined || !(values instanceof Float32Array)) return 0
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length)
  let sum = 0
  for (const pattern of bits) {
    const exponent = Math.max(((pattern >>> 23) & 0xff) - 127, type.smallest)
    if (exponent < 128) sum += 4 ** (exponent - type.fraction)
  }
  return Math.sqrt(sum / 12)
}
