/**
 * Probability that Student's t with `freedom` degrees of freedom is at least as far from zero as `t`: the two-sided
 * p-value. By the regularized incomplete beta function, P(|T| >= |t|) = I_x(freedom / 2, 1 / 2) with
 * x = freedom / (freedom + t^2) (Abramowitz and Stegun 26.7.1). NaN where t is.
 */
export function studentTwoSided(t: number, freedom: number): number {
  if (Number.isNaN(t)) return NaN
  if (!Number.isFinite(t)) return 0
  return incompleteBeta(freedom / (freedom + t * t), freedom / 2, 0.5)
}

/** The t that is exceeded in absolute value with probability `p`, by bisection of `studentTwoSided`. */
export function studentQuantile(p: number, freedom: number): number {
  let [low, high] = [0, 1]
  while (studentTwoSided(high, freedom) > p) high *= 2
  for (let step = 0; step < 100 && low < high; step += 1) {
    const middle = (low + high) / 2
    if (studentTwoSided(middle, freedom) > p) low = middle
    else high = middle
  }
  return high
}

/** I_x(a, b), by whichever of its two continued fractions converges quickly. */
function incompleteBeta(x: number, a: number, b: number): number {
  if (x <= 0) return 0
  if (x >= 1) return 1
  const front = Math.exp(a * Math.log(x) + b * Math.log1p(-x) - logBeta(a, b))
  return x < (a + 1) / (a + b + 2)
    ? (front * betaFraction(x, a, b)) / a
    : 1 - (front * betaFraction(1 - x, b, a)) / b
}

/** The continued fraction of the incomplete beta function (Abramowitz and Stegun 26.5.8), by Lentz's method. */
function betaFraction(x: number, a: number, b: number): number {
  const tiny = 1e-300
  const bounded = (value: number): number => (Math.abs(value) < tiny ? tiny : value)
  let c = 1
  let d = 1 / bounded(1 - ((a + b) * x) / (a + 1))
  let fraction = d
  for (let m = 1; m <= 1000; m += 1) {
    for (const term of [
      (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m)),
      (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1)),
    ]) {
      d = 1 / bounded(1 + term * d)
      c = bounded(1 + term / c)
      fraction *= c * d
    }
    if (Math.abs(c * d - 1) < 1e-15) break
  }
  return fraction
}

function logBeta(a: number, b: number): number {
  return logGamma(a) + logGamma(b) - logGamma(a + b)
}

/** log of the gamma function for x > 0: Stirling's series above 10, brought there by the recurrence. */
function logGamma(x: number): number {
  let [shifted, product] = [x, 1]
  while (shifted < 10) {
    product *= shifted
    shifted += 1
  }
  const inverse = 1 / (shifted * shifted)
  const series =
    (1 / 12 - inverse * (1 / 360 - inverse * (1 / 1260 - inverse * (1 / 1680 - inverse / 1188)))) / shifted
  return (
    (shifted - 0.5) * Math.log(shifted) - shifted + Math.log(2 * Math.PI) / 2 + series - Math.log(product)
  )
}
