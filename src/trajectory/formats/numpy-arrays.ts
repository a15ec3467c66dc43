import { CheckpointError } from '../../errors.js'
import { openNpy, type NpyBytes } from '../../io/npy.js'
import type { RangedFile } from '../../io/ranged-file.js'
import { elementCount, sameShape, type FloatArray, type Tensor } from '../../tensor.js'
import type { TensorInfo } from '../checkpoint.js'
import { COUNTERS, countersOf, type Counters, type FloatTensorInfo } from './format.js'
import { gather } from './torch-tensor.js'

/** An array of a checkpoint: what its header says, and its bytes. */
export interface NumpyTensor extends TensorInfo {
  readonly source: NpyBytes
}

/** NumPy's names of floats that are not read: void types, as which bfloat16 and 8-bit floats are saved, and wide ones. */
const UNREAD_FLOAT = /^[<>|=]?(?:V[12]|f12|f16)$/

/** More elements than any counter has: it is a scalar, or an array of one. */
const SCALAR = 1

/**
 * What the header of an .npy says.
 * @param head the first bytes only, as many as are asked for
 * @throws CheckpointError when the header is corrupt, or promises more or less than there is
 */
export async function describeArray(source: NpyBytes, head: NpyBytes['open']): Promise<NumpyTensor> {
  const { name } = source
  const array = await openNpy({ ...source, open: head }, CheckpointError)
  if ('dtype' in array) return { name, shape: array.shape, dtype: array.dtype, source }
  const dtype = UNREAD_FLOAT.test(array.type) ? 'float16' : 'uint8'
  return { name, shape: array.shape, dtype, unsupported: array.type, source }
}

/** Headers of arrays take 128 bytes; the longest that are read come with a second read. */
const HEAD_BYTES = 256
const LONGEST_HEAD_BYTES = 66_000

/** The first bytes of an array that lies at [offset, offset + length) of a file, as many as are asked for. */
export async function* headIn(file: RangedFile, offset: number, length: number): AsyncGenerator<Uint8Array> {
  const first = Math.min(length, HEAD_BYTES)
  yield await file.read(offset, first)
  yield await file.read(offset + first, Math.min(length - first, LONGEST_HEAD_BYTES))
}

/** All values of a float array, in row-major order. */
export async function readArray({
  source,
  shape,
  dtype,
}: NumpyTensor & FloatTensorInfo): Promise<Tensor<FloatArray>> {
  const array = await openNpy(source, CheckpointError)
  if (!('dtype' in array) || array.dtype !== dtype || !sameShape(array.shape, shape)) {
    throw new CheckpointError(`${source.where}: its header has changed since the checkpoint was opened`)
  }
  const count = elementCount(shape)
  const values = dtype === 'float64' ? new Float64Array(count) : new Float32Array(count)
  let at = 0
  for await (const block of array.blocks()) {
    values.set(block as FloatArray, at)
    at += block.length
  }
  const data = array.order === 'row-major' ? values : gather(values, shape, columnMajorStrides(shape))
  return { dtype, shape, data }
}

/** A checkpoint's arrays, with those that count apart from the others. */
export async function splitCounters(
  arrays: ReadonlyMap<string, NumpyTensor>,
): Promise<{ tensors: ReadonlyMap<string, NumpyTensor>; counters: Counters }> {
  const counters = await countersIn(arrays)
  const names = new Set<string>(counters.keys())
  return { tensors: new Map([...arrays].filter(([name]) => !names.has(name))), counters }
}

/** The counters among the arrays: scalars with a counter's name, whatever number type they are of. */
async function countersIn(tensors: ReadonlyMap<string, NumpyTensor>): Promise<Counters> {
  const values = new Map<string, number>()
  for (const [name] of COUNTERS) {
    const tensor = tensors.get(name)
    if (tensor === undefined || elementCount(tensor.shape) !== SCALAR || tensor.unsupported !== undefined)
      continue
    const array = await openNpy(tensor.source, CheckpointError)
    if (!('dtype' in array)) continue
    for await (const block of array.blocks()) values.set(name, Number(block[0]))
  }
  return countersOf((name) => values.get(name))
}

function columnMajorStrides(shape: readonly number[]): number[] {
  return shape.map((_, axis) => elementCount(shape.slice(0, axis)))
}
