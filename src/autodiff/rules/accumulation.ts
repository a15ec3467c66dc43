import { intAttribute } from '../../onnx/attributes.js'
import { Formula } from '../formula.js'
import { rules, unary } from '../rule.js'
import type { Treatments, VjpContext } from '../rule.js'
import { reduced } from './reduction.js'

/** Further reductions and running sums. Reductions have their axes as an input (opset 18). */
export const ACCUMULATION: Treatments = rules({
  // sign(x) dx, 0 at 0 (ReduceL1 18)
  ReduceL1: unary((c) => c.builder.mul(reduced(c).kept(c.g), c.builder.add('Sign', [c.x(0)]))),
  // x dx / y, 0 where the norm is 0, as PyTorch (ReduceL2 18)
  ReduceL2: unary((c) => {
    const f = new Formula(c.builder, c.g)
    const safe = f.add(c.y(), f.mask('Equal', c.y(), 0))
    return f.mul(reduced(c).kept(f.div(c.g, safe)), c.x(0))
  }),
  // 2 x dx (ReduceSumSquare 18)
  ReduceSumSquare: unary((c) => c.builder.mul(reduced(c).kept(c.builder.scale(c.g, 2)), c.x(0))),
  // dx / sum(x), and the sum is e^y (ReduceLogSum 18)
  ReduceLogSum: unary((c) => {
    const share = c.builder.add('Div', [c.g, c.builder.add('Exp', [c.y()])])
    return c.builder.expandLike(reduced(c).kept(share), c.x(0))
  }),
  // e^(x - y) dx: the softmax of x, finite whatever x (ReduceLogSumExp 18)
  ReduceLogSumExp: unary((c) => {
    const f = new Formula(c.builder, c.g)
    const over = reduced(c)
    return f.mul(over.kept(c.g), f.call('Exp', f.sub(c.x(0), over.kept(c.y()))))
  }),
  ReduceProd: unary(productGradient),
  // the sum of what was added up from each element on: a running sum the other way (CumSum 14)
  CumSum: unary((c) => runningSumBack(c, c.g)),
  CumProd: unary(runningProductGradient),
})

/**
 * dx times the product of the other elements, exact where some are 0. With p the product of those that are not 0: with
 * no zero p / x, with one p for it and 0 for the others, with more 0 (ReduceProd 18).
 */
function productGradient(c: VjpContext): string {
  const f = new Formula(c.builder, c.g)
  const over = reduced(c)
  const zero = f.mask('Equal', c.x(0), 0)
  const safe = f.add(c.x(0), zero)
  const count = over.sum(zero)
  const product = over.kept(c.builder.add('ReduceProd', [safe, ...c.node.inputs.slice(1)], attributesOf(c)))
  const none = f.div(f.mask('Equal', count, 0), safe)
  const one = f.mul(f.mask('Equal', count, 1), zero)
  return f.mul(f.mul(over.kept(c.g), product), f.add(none, one))
}

function attributesOf(c: VjpContext): Record<string, number> {
  return {
    keepdims: intAttribute(c.node, 'keepdims', 1),
    noop_with_empty_axes: intAttribute(c.node, 'noop_with_empty_axes', 0),
  }
}

/** The running sum of a value against the node's direction. */
function runningSumBack(c: VjpContext, value: string): string {
  return c.builder.add('CumSum', [value, c.x(1)], {
    exclusive: intAttribute(c.node, 'exclusive', 0),
    reverse: 1 - intAttribute(c.node, 'reverse', 0),
  })
}

/**
 * Before the first 0 along the axis sum(g y) / x, summed from each element on. At the first 0 the same sum of the
 * products that leave it out; behind it nothing, since all products there have it as a factor (CumProd 26).
 */
function runningProductGradient(c: VjpContext): string {
  const { builder } = c
  const f = new Formula(builder, c.g)
  const reverse = intAttribute(c.node, 'reverse', 0)
  const zero = f.mask('Equal', c.x(0), 0)
  const zeros = builder.add('CumSum', [zero, c.x(1)], { reverse })
  const first = f.mul(zero, f.mask('Equal', zeros, 1))
  const without = builder.add('CumProd', [f.add(c.x(0), first), c.x(1)], {
    exclusive: intAttribute(c.node, 'exclusive', 0),
    reverse,
  })
  const before = f.div(f.mask('Equal', zeros, 0), f.add(c.x(0), zero))
  return f.add(
    f.mul(before, runningSumBack(c, f.mul(c.g, c.y()))),
    f.mul(first, runningSumBack(c, f.mul(c.g, without))),
  )
}
