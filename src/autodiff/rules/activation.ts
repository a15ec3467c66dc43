import { floatAttribute, stringAttribute } from '../../onnx/attributes.js'
import { Formula } from '../formula.js'
import { rules, unary } from '../rule.js'
import type { Treatments, Vjp, VjpContext } from '../rule.js'

/** A rule from the derivative at x, which the cotangent is multiplied by. */
function slope(formula: (f: Formula, x: string, c: VjpContext) => string): Vjp {
  return unary((c) => {
    const f = new Formula(c.builder, c.g)
    return f.mul(c.g, formula(f, c.x(0), c))
  })
}

/** Activations that ONNX gained after its first, and others that are best said by formulas of older ones. */
export const ACTIVATION: Treatments = rules({
  Gelu: slope((f, x, c) =>
    stringAttribute(c.node, 'approximate', 'none') === 'tanh' ? tanhGeluSlope(f, x) : geluSlope(f, x),
  ),
  // y = x h, h = x / 6 + 1/2 between 0 and 1: h + x / 6 where |x| < 3, so that -3 and 3 have the slopes beyond them
  HardSwish: slope((f, x, c) => {
    const h = c.builder.add('HardSigmoid', [x], { alpha: { float: 1 / 6 }, beta: { float: 0.5 } })
    return f.add(h, f.mul(f.mul(x, 1 / 6), f.mask('Less', f.call('Abs', x), 3)))
  }),
  // y = x t, t = tanh(log(1 + e^x)): t + x (1 - t^2) sigmoid(x) (Mish 18). Not x sigmoid(x) first: ONNX Runtime makes
  // that an operator which it lacks in float64.
  Mish: slope((f, x) => {
    const t = f.call('Tanh', f.call('Softplus', x))
    return f.add(t, f.mul(x, f.mul(f.sub(1, f.square(t)), f.call('Sigmoid', x))))
  }),
  // y = x s, s = sigmoid(alpha x): s + alpha y (1 - s) (Swish 24)
  Swish: slope((f, x, c) => {
    const alpha = floatAttribute(c.node, 'alpha', 1)
    const s = f.call('Sigmoid', c.builder.scale(x, alpha))
    return f.add(s, f.mul(c.builder.scale(c.y(), alpha), f.sub(1, s)))
  }),
  // [|x| > lambd] (Shrink 9)
  Shrink: slope((f, x, c) => f.mask('Greater', f.call('Abs', x), floatAttribute(c.node, 'lambd', 0.5))),
})

/**
 * y = x F(x), F the normal distribution: F(x) + x F'(x), with u = x / sqrt(2) (erf(u) + 1) / 2 + u exp(-u^2) / sqrt(pi).
 * The constant of the second term goes into the exponent.
 */
function geluSlope(f: Formula, x: string): string {
  const u = f.mul(x, Math.SQRT1_2)
  const density = f.call('Exp', f.sub(-Math.log(Math.PI) / 2, f.square(u)))
  return f.add(normalDistribution(f, x), f.mul(u, density))
}

/** F(x) = (1 + erf(x / sqrt(2))) / 2 */
export function normalDistribution(f: Formula, x: string): string {
  return f.add(f.mul(f.call('Erf', f.mul(x, Math.SQRT1_2)), 0.5), 0.5)
}

const TANH_SCALE = Math.sqrt(Math.fround(2 / Math.PI))
const TANH_CUBIC = Math.fround(0.044715)

/** 2 z = 2 k (x + a x^3) */
function twiceTanhArgument(f: Formula, x: string): string {
  return f.mul(x, f.add(f.mul(f.square(x), 2 * TANH_SCALE * TANH_CUBIC), 2 * TANH_SCALE))
}

/** Gelu in older operators: x F(x), or x sigmoid(2 z) where it is approximated by tanh. */
export function geluOf(f: Formula, x: string, approximate: string): string {
  return approximate === 'tanh'
    ? f.mul(x, f.call('Sigmoid', twiceTanhArgument(f, x)))
    : f.mul(x, normalDistribution(f, x))
}

/**
 * y = x (1 + tanh z) / 2 = x s, z = k (x + a x^3) and s = sigmoid(2 z): s (1 + (1 - s) x 2 z'), where
 * x z' = k (x + 3 a x^3) = 3 z - 2 k x. The constants are float32 in whatever type, as in Gelu's function body.
 */
function tanhGeluSlope(f: Formula, x: string): string {
  const twice = twiceTanhArgument(f, x)
  const s = f.call('Sigmoid', twice)
  const growth = f.sub(f.mul(twice, 3), f.mul(x, 4 * TANH_SCALE))
  return f.mul(s, f.add(f.mul(f.sub(1, s), growth), 1))
}
