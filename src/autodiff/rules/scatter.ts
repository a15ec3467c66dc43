import { intAttribute, stringAttribute } from '../../onnx/attributes.js'
import { normalizeAxis } from '../../onnx/shapes/dims.js'
import { Formula } from '../formula.js'
import { Integers } from '../integers.js'
import { RuleRefusal, alwaysRewritten, rewritten, rule } from '../rule.js'
import type { RewriteContext, Treatments, Vjp, VjpContext } from '../rule.js'
import { scatterNdAsElements } from './index-tuples.js'

type Cotangents = readonly (string | undefined)[]

/** Operators that put `updates` at the places of `data` that `indices` names. */
export const SCATTER: Treatments = {
  // by reduction (ScatterElements 18); without one no place may be named twice
  ScatterElements: rule(elementsBack),
  ScatterND: rewritten((c) => [scatterNdAsElements(c)]),
  // the name that ScatterElements had (Scatter 9)
  Scatter: alwaysRewritten((c) => [
    c.builder.add('ScatterElements', [c.x(0), c.x(1), c.x(2)], { axis: intAttribute(c.node, 'axis', 0) }),
  ]),
  // elements of the update at their places in the cache (TensorScatter 24)
  TensorScatter: rewritten((c) => [writtenToCache(c)]),
}

const REDUCTIONS: Readonly<Record<string, Vjp>> = {
  // y = u at its place: du = g there, dx = g elsewhere
  none: (c) => [
    c.needs(0) ? scattered(c, c.g, c.builder.zerosLike(c.x(2))) : undefined,
    undefined,
    c.needs(2) ? gathered(c, c.g) : undefined,
  ],
  // y = x + sum u
  add: (c) => [c.g, undefined, c.needs(2) ? gathered(c, c.g) : undefined],
  mul: product,
  max: extreme,
  min: extreme,
}

function elementsBack(c: VjpContext): Cotangents {
  const name = stringAttribute(c.node, 'reduction', 'none')
  const reduction = REDUCTIONS[name]
  if (reduction === undefined) throw new RuleRefusal(`its reduction '${name}' is not known`)
  return reduction(c)
}

function axisOf(c: VjpContext): number {
  return intAttribute(c.node, 'axis', 0)
}

function scattered(c: VjpContext, data: string, updates: string, reduction = 'none'): string {
  return c.builder.add('ScatterElements', [data, c.x(1), updates], { axis: axisOf(c), reduction })
}

function gathered(c: VjpContext, value: string): string {
  return c.builder.add('GatherElements', [value, c.x(1)], { axis: axisOf(c) })
}

/** y = x prod(u): dx = g prod(u), du = g x (the product of the other updates of its place), zeros included. */
function product(c: VjpContext): Cotangents {
  const f = new Formula(c.builder, c.g)
  const [one, zero] = [onesLike(c, c.x(0)), c.builder.zerosLike(c.x(0))]
  const dData = c.needs(0) ? f.mul(c.g, scattered(c, one, c.x(2), 'mul')) : undefined
  if (!c.needs(2)) return [dData]
  const isZero = f.mask('Equal', c.x(2), 0)
  const nonzero = f.add(c.x(2), isZero)
  const count = scattered(c, zero, isZero, 'add')
  const rest = f.div(gathered(c, scattered(c, one, nonzero, 'mul')), nonzero)
  const noOtherZero = f.mask('Equal', gathered(c, count), isZero)
  const through = gathered(c, f.mul(c.g, c.x(0)))
  return [dData, undefined, f.mul(through, f.mul(rest, noOtherZero))]
}

/** All that attain the extreme of a place share its cotangent equally, as PyTorch's scatter_reduce. */
function extreme(c: VjpContext): Cotangents {
  const f = new Formula(c.builder, c.g)
  const fromData = f.mask('Equal', c.x(0), c.y())
  const fromUpdates = f.mask('Equal', c.x(2), gathered(c, c.y()))
  const share = f.div(c.g, scattered(c, fromData, fromUpdates, 'add'))
  return [f.mul(fromData, share), undefined, c.needs(2) ? f.mul(fromUpdates, gathered(c, share)) : undefined]
}

function onesLike(c: VjpContext, value: string): string {
  return c.builder.add('Expand', [c.builder.scalar(1, c.builder.dtype(value)), c.builder.shape(value)])
}

/** Positions start at the sample's write index, or at 0; in circular mode they go on at the start of the axis. */
function writtenToCache(c: RewriteContext): string {
  const { builder } = c
  const integers = new Integers(builder)
  const rank = c.shape(0).length
  const axis = normalizeAxis(intAttribute(c.node, 'axis', -2), rank)
  const behind = (count: number): number[] => [-1, ...Array.from({ length: count }, () => 1)]
  const own = integers.range(integers.size(c.x(1), axis))
  const within = builder.reshape(own, behind(rank - 1 - axis))
  const started =
    c.x(2) === '' ? within : builder.add('Add', [builder.reshape(c.x(2), behind(rank - 1)), within])
  const circular = stringAttribute(c.node, 'mode', 'linear') === 'circular'
  const size = integers.value(integers.size(c.x(0), axis))
  const places = circular ? builder.add('Mod', [started, size]) : started
  const inputs = [c.x(0), builder.expandLike(places, c.x(1)), c.x(1)]
  return builder.add('ScatterElements', inputs, { axis })
}
