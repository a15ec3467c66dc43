import { floatAttribute } from '../../onnx/attributes.js'
import { Formula } from '../formula.js'
import { unary } from '../rule.js'
import type { Vjp, VjpContext } from '../rule.js'

interface Point {
  readonly x: string
  readonly y: string
  readonly g: string
  readonly context: VjpContext
}

/** A rule from the formula of the cotangent; `f` builds arithmetic. */
function elementwise(formula: (f: Formula, point: Point) => string): Vjp {
  return unary((context) =>
    formula(new Formula(context.builder, context.g), {
      x: context.x(0),
      y: context.y(),
      g: context.g,
      context,
    }),
  )
}

function attribute({ context }: Point, name: string, otherwise: number): number {
  return floatAttribute(context.node, name, otherwise)
}

export const ELEMENTWISE = {
  Identity: elementwise((_, { g }) => g),
  // d(-x) = -dx
  Neg: elementwise((f, { g }) => f.call('Neg', g)),
  // d|x| = sign(x) dx, 0 at 0 as PyTorch
  Abs: elementwise((f, { x, g }) => f.mul(g, f.call('Sign', x))),
  // d exp(x) = exp(x) dx
  Exp: elementwise((f, { y, g }) => f.mul(g, y)),
  // d log(x) = dx / x
  Log: elementwise((f, { x, g }) => f.div(g, x)),
  // d sqrt(x) = dx / (2 sqrt(x))
  Sqrt: elementwise((f, { y, g }) => f.div(f.mul(g, 0.5), y)),
  // d(1/x) = -dx / x^2
  Reciprocal: elementwise((f, { y, g }) => f.mul(f.call('Neg', g), f.square(y))),
  // d sin(x) = cos(x) dx
  Sin: elementwise((f, { x, g }) => f.mul(g, f.call('Cos', x))),
  // d cos(x) = -sin(x) dx
  Cos: elementwise((f, { x, g }) => f.mul(f.call('Neg', g), f.call('Sin', x))),
  // d tan(x) = (1 + tan(x)^2) dx
  Tan: elementwise((f, { y, g }) => f.mul(g, f.add(f.square(y), 1))),
  // d asin(x) = dx / sqrt(1 - x^2)
  Asin: elementwise((f, { x, g }) => f.div(g, f.call('Sqrt', f.sub(1, f.square(x))))),
  // d acos(x) = -dx / sqrt(1 - x^2)
  Acos: elementwise((f, { x, g }) => f.div(f.call('Neg', g), f.call('Sqrt', f.sub(1, f.square(x))))),
  // d atan(x) = dx / (1 + x^2)
  Atan: elementwise((f, { x, g }) => f.div(g, f.add(f.square(x), 1))),
  // d sinh(x) = cosh(x) dx
  Sinh: elementwise((f, { x, g }) => f.mul(g, f.call('Cosh', x))),
  // d cosh(x) = sinh(x) dx
  Cosh: elementwise((f, { x, g }) => f.mul(g, f.call('Sinh', x))),
  // d asinh(x) = dx / sqrt(x^2 + 1)
  Asinh: elementwise((f, { x, g }) => f.div(g, f.call('Sqrt', f.add(f.square(x), 1)))),
  // d acosh(x) = dx / sqrt(x^2 - 1)
  Acosh: elementwise((f, { x, g }) => f.div(g, f.call('Sqrt', f.sub(f.square(x), 1)))),
  // d atanh(x) = dx / (1 - x^2)
  Atanh: elementwise((f, { x, g }) => f.div(g, f.sub(1, f.square(x)))),
  // d tanh(x) = (1 - tanh(x)^2) dx
  Tanh: elementwise((f, { y, g }) => f.mul(g, f.sub(1, f.square(y)))),
  // d sigmoid(x) = sigmoid(x) (1 - sigmoid(x)) dx
  Sigmoid: elementwise((f, { y, g }) => f.mul(g, f.mul(y, f.sub(1, y)))),
  // d relu(x) = [x > 0] dx, 0 at 0 as PyTorch
  Relu: elementwise((f, { y, g }) => f.mul(g, f.mask('Greater', y, 0))),
  // [x > 0] dx + alpha [x <= 0] dx
  LeakyRelu: elementwise((f, p) => f.mul(p.g, slope(f, p, attribute(p, 'alpha', 0.01)))),
  // [x > alpha] dx
  ThresholdedRelu: elementwise((f, p) => f.mul(p.g, f.mask('Greater', p.x, attribute(p, 'alpha', 1)))),
  // [x > 0] dx + (y + alpha) [x <= 0] dx
  Elu: elementwise((f, p) => f.mul(p.g, bend(f, p, 1, f.add(p.y, attribute(p, 'alpha', 1))))),
  // gamma [x > 0] dx + (y + gamma alpha) [x <= 0] dx
  Selu: elementwise((f, p) => {
    const [alpha, gamma] = [
      attribute(p, 'alpha', 1.6732631921768188),
      attribute(p, 'gamma', 1.0507010221481323),
    ]
    return f.mul(p.g, bend(f, p, gamma, f.add(p.y, alpha * gamma)))
  }),
  // [x > 0] dx + (y / alpha + 1) [x <= 0] dx
  Celu: elementwise((f, p) => f.mul(p.g, bend(f, p, 1, f.add(f.div(p.y, attribute(p, 'alpha', 1)), 1)))),
  // d log(1 + e^x) = sigmoid(x) dx
  Softplus: elementwise((f, { x, g }) => f.mul(g, f.call('Sigmoid', x))),
  // d(x / (1 + |x|)) = dx / (1 + |x|)^2
  Softsign: elementwise((f, { x, g }) => f.div(g, f.square(f.add(f.call('Abs', x), 1)))),
  // alpha [0 < y < 1] dx
  HardSigmoid: elementwise((f, p) => {
    const inside = f.mul(f.mask('Greater', p.y, 0), f.mask('Less', p.y, 1))
    return f.mul(f.mul(p.g, attribute(p, 'alpha', 0.2)), inside)
  }),
  // d erf(x) = 2/sqrt(pi) exp(-x^2) dx
  Erf: elementwise((f, { x, g }) =>
    f.mul(f.mul(g, 2 / Math.sqrt(Math.PI)), f.call('Exp', f.call('Neg', f.square(x)))),
  ),
} as const

function slope(f: Formula, { x }: Point, alpha: number): string {
  return f.add(f.mul(f.mask('Greater', x, 0), 1 - alpha), alpha)
}

/** `right` where x > 0, `left` elsewhere. `left` is finite everywhere, so that masking it is safe. */
function bend(f: Formula, { x }: Point, right: number, left: string): string {
  const positive = f.mask('Greater', x, 0)
  return f.add(f.mul(positive, right), f.mul(f.sub(1, positive), left))
}

/** Operators on two or more inputs that broadcast; cotangents are in the output's shape and summed back by the driver. */
export const BROADCASTING = {
  // d(a + b) = da + db
  Add: (c) => c.node.inputs.map(() => c.g),
  Sum: (c) => c.node.inputs.map(() => c.g),
  // d(a - b) = da - db
  Sub: (c) => [c.g, c.needs(1) ? c.builder.add('Neg', [c.g]) : undefined],
  // d(a b) = b da + a db
  Mul: (c) => [
    c.needs(0) ? c.builder.mul(c.g, c.x(1)) : undefined,
    c.needs(1) ? c.builder.mul(c.g, c.x(0)) : undefined,
  ],
  // d(a / b) = da / b - (a / b) db / b
  Div: (c) => {
    const perB = c.builder.add('Div', [c.g, c.x(1)])
    return [perB, c.needs(1) ? c.builder.mul(c.builder.add('Neg', [perB]), c.y()) : undefined]
  },
  // d(a^b) = b a^(b-1) da + a^b log(a) db
  Pow: (c) => [c.needs(0) ? powerBase(c) : undefined, c.needs(1) ? powerExponent(c) : undefined],
  // d mean(x_1 .. x_n) = sum dx_i / n
  Mean: (c) => c.node.inputs.map(() => c.builder.scale(c.g, 1 / c.node.inputs.length)),
  // the inputs that attain the extreme share the cotangent equally, as PyTorch's maximum and minimum
  Max: extreme,
  Min: extreme,
  // [min <= x <= max] dx + [x < min] dmin + [x > max] dmax, the bounds included in x as PyTorch's clamp (Clip 13)
  Clip: (c) => [
    c.needs(0) ? betweenBounds(c) : undefined,
    c.needs(1) ? belowBounds(c) : undefined,
    c.needs(2) ? aboveBounds(c) : undefined,
  ],
  Where: (c) => {
    const chosen = c.builder.cast(c.x(0), c.builder.dtype(c.g))
    const zero = c.builder.scalar(0, c.builder.dtype(c.g))
    return [
      undefined,
      c.needs(1) ? c.builder.mul(c.g, chosen) : undefined,
      c.needs(2) ? c.builder.add('Where', [c.x(0), zero, c.g]) : undefined,
    ]
  },
  // d prelu(x) = [x > 0] dx + slope [x <= 0] dx + x [x <= 0] dslope
  PRelu: (c) => {
    const f = new Formula(c.builder, c.g)
    const negative = f.mask('LessOrEqual', c.x(0), 0)
    const factor = f.add(f.sub(1, negative), f.mul(negative, c.x(1)))
    return [f.mul(c.g, factor), c.needs(1) ? f.mul(c.g, f.mul(negative, c.x(0))) : undefined]
  },
} as const satisfies Record<string, Vjp>

function extreme(c: VjpContext): readonly string[] {
  const f = new Formula(c.builder, c.g)
  const attains = c.node.inputs.map((x) => f.mask('Equal', x, c.y()))
  const count = attains.reduce((sum, mask) => f.add(sum, mask))
  const share = f.div(c.g, count)
  return attains.map((mask) => f.mul(share, mask))
}

function betweenBounds(c: VjpContext): string {
  const f = new Formula(c.builder, c.g)
  const [x, low, high] = [c.x(0), c.x(1), c.x(2)]
  const above = low === '' ? c.g : f.mul(c.g, f.mask('GreaterOrEqual', x, low))
  return high === '' ? above : f.mul(above, f.mask('LessOrEqual', x, high))
}

/** A lower bound above the upper one is itself cut to that: then it does not count. */
function belowBounds(c: VjpContext): string {
  const f = new Formula(c.builder, c.g)
  return f.mul(c.g, f.mul(f.mask('Less', c.x(0), c.x(1)), f.mask('Equal', c.y(), c.x(1))))
}

function aboveBounds(c: VjpContext): string {
  const f = new Formula(c.builder, c.g)
  const raised = c.x(1) === '' ? c.x(0) : f.call('Max', c.x(0), c.x(1))
  return f.mul(c.g, f.mask('Greater', raised, c.x(2)))
}

function powerBase(c: VjpContext): string {
  const f = new Formula(c.builder, c.g)
  const exponent = c.builder.cast(c.x(1), c.builder.dtype(c.g))
  const lowered = f.call('Pow', c.x(0), f.sub(exponent, 1))
  // at exponent 0 the derivative is 0 even where a^(-1) is infinite
  const safe = c.builder.add('Where', [f.call('Equal', exponent, 0), f.number(0), lowered])
  return f.mul(c.g, f.mul(exponent, safe))
}

function powerExponent(c: VjpContext): string {
  const f = new Formula(c.builder, c.g)
  const positive = f.call('Greater', c.x(0), 0)
  const safe = c.builder.add('Where', [positive, c.x(0), f.number(1)])
  // the derivative with respect to the exponent is taken as 0 where the base is 0, as PyTorch does
  return f.mul(c.g, f.mul(c.y(), f.call('Log', safe)))
}
