import { decodeArray } from '../../io/decode.js'
import { elementCount, type DType } from '../../tensor.js'
import { COUNTERS, countersOf, type Counters } from './format.js'
import { TorchTensor, type PickleValue } from './pickle-values.js'
import type { TorchContainer } from './torch-container.js'
import { spanOf } from './torch-tensor.js'

/**
 * The counters that trainers keep beside the weights. One in a tensor of one element is read from the file.
 * @throws CheckpointError when such a tensor can't be read
 */
export async function torchCounters(container: TorchContainer, path: string): Promise<Counters> {
  const values = new Map<string, unknown>()
  for (const [name] of COUNTERS) {
    const value = countOf(entryAt(container.root, name))
    values.set(name, value instanceof TorchTensor ? await readScalar(value, name, container, path) : value)
  }
  return countersOf((name) => values.get(name))
}

/** Follows a dotted name; of a list its last entry is meant, of Composer's old timestamps the one in `Timestamp`. */
function entryAt(root: PickleValue, name: string): PickleValue | undefined {
  let value: PickleValue | undefined = root
  for (const key of name.split('.')) {
    if (Array.isArray(value)) value = value.at(-1)
    if (!(value instanceof Map)) return undefined
    const inner: PickleValue | undefined = value.get('Timestamp')
    value = value.get(key) ?? (inner instanceof Map ? inner.get(key) : undefined)
  }
  return value
}

/** Composer also writes a count as `{ value, unit }`. */
function countOf(value: PickleValue | undefined): PickleValue | undefined {
  return value instanceof Map ? value.get('value') : value
}

async function readScalar(
  tensor: TorchTensor,
  name: string,
  container: TorchContainer,
  path: string,
): Promise<unknown> {
  const { scalar, shape, storage } = tensor
  if (elementCount(shape) !== 1 || scalar.unsupported !== undefined || isNarrow(scalar.dtype))
    return undefined
  const place = container.place(storage, name)
  const { begin } = spanOf(tensor, name, path)
  const bytes = await place.read(begin * scalar.bytes, scalar.bytes)
  const [value] = decodeArray(bytes, scalar.dtype as DType)
  return Number(value)
}

/** Eight-bit floats count nothing. */
function isNarrow(dtype: string): boolean {
  return dtype.startsWith('float8')
}
