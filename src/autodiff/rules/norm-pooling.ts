import { intAttribute } from '../../onnx/attributes.js'
import { Formula } from '../formula.js'
import type { VjpContext } from '../rule.js'
import { poolingWindow, spread } from './average-pooling.js'

/**
 * y = (sum |x|^p)^(1/p) over windows (LpPool 18): dx = sign(x) |x|^(p-1) * sum over its windows of g y^(1-p), and 0
 * where a whole window is 0, as PyTorch.
 */
export function windowNormBack(c: VjpContext): string {
  const f = new Formula(c.builder, c.g)
  const p = intAttribute(c.node, 'p', 2)
  const g = p === 1 ? c.g : f.div(c.g, power(f, nonzero(f, c.y()), p - 1))
  const sums = spread(c, poolingWindow(c), g)
  return f.mul(sums, signedPower(f, c.x(0), p - 1))
}

/** The same over the whole image (GlobalLpPool 2): with |x| / y at most 1 no power overflows. */
export function imageNormBack(c: VjpContext): string {
  const f = new Formula(c.builder, c.g)
  const share = f.div(c.x(0), nonzero(f, c.y()))
  return f.mul(c.g, signedPower(f, share, intAttribute(c.node, 'p', 2) - 1))
}

function nonzero(f: Formula, y: string): string {
  return f.add(y, f.mask('Equal', y, 0))
}

function power(f: Formula, x: string, exponent: number): string {
  if (exponent === 1) return x
  return exponent === 2 ? f.square(x) : f.call('Pow', x, exponent)
}

/** sign(x) |x|^n. */
function signedPower(f: Formula, x: string, n: number): string {
  if (n === 0) return f.sub(f.mask('Greater', x, 0), f.mask('Less', x, 0))
  if (n === 1) return x
  return f.mul(x, power(f, f.call('Abs', x), n - 1))
}
