/**
 * A linear combination of arrays, elementwise: terms are added to zero in their order, those with the coefficient zero
 * left out.
 */
export function combine(
  out: Float64Array,
  terms: readonly Float64Array[],
  coefficients: readonly number[],
): Float64Array {
  const used = terms.flatMap((values, k) => {
    const coefficient = coefficients[k] ?? 0
    return coefficient === 0 ? [] : [{ values, coefficient }]
  })
  out.fill(0)
  let at = 0
  // three at a time: passes through memory cost more than products do
  for (; at + 3 <= used.length; at += 3) addThree(out, used[at]!, used[at + 1]!, used[at + 2]!)
  for (; at < used.length; at += 1) addOne(out, used[at]!)
  return out
}

interface Term {
  readonly values: Float64Array
  readonly coefficient: number
}

function addOne(out: Float64Array, { values, coefficient }: Term): void {
  for (let i = 0; i < out.length; i += 1) out[i]! += coefficient * values[i]!
}

function addThree(out: Float64Array, first: Term, second: Term, third: Term): void {
  const [x, y, z] = [first.values, second.values, third.values]
  const [a, b, c] = [first.coefficient, second.coefficient, third.coefficient]
  for (let i = 0; i < out.length; i += 1) out[i] = out[i]! + a * x[i]! + b * y[i]! + c * z[i]!
}
