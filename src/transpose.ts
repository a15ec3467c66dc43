/** The shape of an array of shape `shape` after its axes are put in another order: axis i is axis `permutation[i]` of before. */
export function transposedShape(shape: readonly number[], permutation: readonly number[]): number[] {
  return permutation.map((axis) => shape[axis]!)
}

/** The permutation that undoes another. */
export function inverseOf(permutation: readonly number[]): number[] {
  return permutation.map((_, axis) => permutation.indexOf(axis))
}

export function isIdentity(permutation: readonly number[]): boolean {
  return permutation.every((axis, i) => axis === i)
}

/**
 * Walks an array in the row-major order that it has after its axes are permuted (as NumPy's and ONNX's Transpose):
 * `visit` gets each element's position of before, and ends the walk by answering false.
 *
 * @returns whether every element was visited
 */
export function walkTransposed(
  shape: readonly number[],
  permutation: readonly number[],
  visit: (source: number) => boolean,
): boolean {
  const sizes = transposedShape(shape, permutation)
  if (sizes.includes(0)) return true
  const steps = transposedShape(stridesOf(shape), permutation)
  const index = new Array<number>(sizes.length).fill(0)
  for (let source = 0; ;) {
    if (!visit(source)) return false
    let axis = sizes.length - 1
    for (; axis >= 0; axis -= 1) {
      index[axis]! += 1
      source += steps[axis]!
      if (index[axis]! < sizes[axis]!) break
      source -= steps[axis]! * sizes[axis]!
      index[axis] = 0
    }
    if (axis < 0) return true
  }
}

/** The bytes of an array after its axes are permuted. */
export function transposeBytes(
  bytes: Uint8Array,
  itemSize: number,
  shape: readonly number[],
  permutation: readonly number[],
): Uint8Array {
  const result = new Uint8Array(bytes.byteLength)
  let target = 0
  walkTransposed(shape, permutation, (source) => {
    for (let i = 0; i < itemSize; i += 1) result[target + i] = bytes[source * itemSize + i]!
    target += itemSize
    return true
  })
  return result
}

/** How many elements lie between neighbours along each axis, in row-major order. */
function stridesOf(shape: readonly number[]): number[] {
  return shape.map((_, axis) => shape.slice(axis + 1).reduce((product, size) => product * size, 1))
}
