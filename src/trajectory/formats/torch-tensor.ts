import { CheckpointError } from '../../errors.js'
import { elementCount, type FloatArray } from '../../tensor.js'
import type { TorchTensor } from './pickle-values.js'

/** Elements that a tensor may have beyond its storage (by strides of zero); a larger one is a bomb. */
const MAX_EXPANDED_ELEMENTS = 2 ** 24

/** The part of a storage that a view touches, in elements: [begin, begin + length). */
export interface Span {
  readonly begin: number
  readonly length: number
}

/**
 * The span of a tensor, checked against its storage.
 * @throws CheckpointError when the view reaches beyond the storage, or repeats elements beyond measure
 */
export function spanOf(tensor: TorchTensor, name: string, path: string): Span {
  const { shape, stride, offset, storage, scalar } = tensor
  if (shape.includes(0)) return { begin: 0, length: 0 }
  const elements = elementCount(shape)
  const length = 1 + shape.reduce((last, size, axis) => last + (size - 1) * stride[axis]!, 0)
  const held = Math.floor(storage.bytes / scalar.bytes)
  if (offset + length > held) {
    throw new CheckpointError(
      `${path}: tensor ${name} reaches element ${offset + length}, but its storage has ${held}`,
    )
  }
  if (elements > held && elements > MAX_EXPANDED_ELEMENTS) {
    throw new CheckpointError(`${path}: tensor ${name} repeats ${held} stored elements to ${elements}`)
  }
  return { begin: offset, length }
}

/** Whether elements lie in the storage in row-major order without gaps. */
export function isContiguous(shape: readonly number[], stride: readonly number[]): boolean {
  let expected = 1
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] !== 1 && stride[axis] !== expected) return false
    expected *= shape[axis]!
  }
  return true
}

/** The elements of a strided view in row-major order; `span` starts at the view's first element. */
export function gather(span: FloatArray, shape: readonly number[], stride: readonly number[]): FloatArray {
  const count = elementCount(shape)
  const out = span instanceof Float64Array ? new Float64Array(count) : new Float32Array(count)
  const inner = shape.at(-1) ?? 1
  const step = stride.at(-1) ?? 1
  const index = new Array<number>(Math.max(0, shape.length - 1)).fill(0)
  let at = 0
  for (let written = 0; written < count; written += inner) {
    for (let i = 0; i < inner; i++) out[written + i] = span[at + i * step]!
    at += advance(index, shape, stride)
  }
  return out
}

/** Moves to the next row (all axes but the last) and says how far that is in the storage. */
function advance(index: number[], shape: readonly number[], stride: readonly number[]): number {
  let moved = 0
  for (let axis = index.length - 1; axis >= 0; axis--) {
    index[axis]!++
    moved += stride[axis]!
    if (index[axis]! < shape[axis]!) return moved
    moved -= shape[axis]! * stride[axis]!
    index[axis] = 0
  }
  return moved
}
