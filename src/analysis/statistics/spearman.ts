/**
 * Spearman's rank correlation; equal values share the mean of their ranks. Places where either is NaN are left out. NaN
 * of fewer than three values, or where one of both does not vary.
 */
export function spearman(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const places = Array.from({ length: a.length }, (_, i) => i).filter(
    (i) => !Number.isNaN(a[i]!) && !Number.isNaN(b[i]!),
  )
  if (places.length < 3) return NaN
  return pearson(
    ranks(Float64Array.from(places, (i) => a[i]!)),
    ranks(Float64Array.from(places, (i) => b[i]!)),
  )
}

function ranks(values: Float64Array): Float64Array {
  const order = Uint32Array.from(values, (_, i) => i).sort((a, b) => values[a]! - values[b]!)
  const result = new Float64Array(values.length)
  for (let first = 0; first < order.length;) {
    let last = first + 1
    while (last < order.length && values[order[last]!] === values[order[first]!]) last += 1
    for (let i = first; i < last; i += 1) result[order[i]!] = (first + last - 1) / 2
    first = last
  }
  return result
}

function pearson(a: Float64Array, b: Float64Array): number {
  const middle = (a.length - 1) / 2
  let [both, squaresA, squaresB] = [0, 0, 0]
  for (let i = 0; i < a.length; i += 1) {
    const [x, y] = [a[i]! - middle, b[i]! - middle]
    both += x * y
    squaresA += x * x
    squaresB += y * y
  }
  return squaresA > 0 && squaresB > 0 ? both / Math.sqrt(squaresA * squaresB) : NaN
}
