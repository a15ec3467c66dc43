import { intAttribute } from '../../onnx/attributes.js'
import { END_OF_ANY } from '../../onnx/shapes/slice.js'
import { RuleRefusal } from '../rule.js'
import type { RewriteContext } from '../rule.js'

/** The two numbers of each plane that is turned, along the last axis. */
interface Planes {
  readonly first: string
  readonly second: string
}

/** Pairs of numbers turned by the angle of their position, as [batch, heads, length, size] (RotaryEmbedding 23). */
export function rotated(c: RewriteContext): string {
  const { builder } = c
  const flat = c.shape(0).length === 3
  const x = flat ? split(c) : c.x(0)
  const turned = intAttribute(c.node, 'rotary_embedding_dim', 0)
  const all = turned === 0 || turned === builder.shapeOf(x)?.[3]
  const part = all ? x : cut(c, x, 0, turned)
  const { first, second } = turnedBy(c, planes(c, part))
  const result = together(c, first, second, part)
  const whole = all ? result : builder.add('Concat', [result, cut(c, x, turned, END_OF_ANY)], { axis: 3 })
  return flat ? builder.reshapeTo(builder.transpose(whole, [0, 2, 1, 3]), builder.shape(c.x(0))) : whole
}

function split(c: RewriteContext): string {
  const { builder } = c
  const count = intAttribute(c.node, 'num_heads', 0)
  if (count === 0) throw new RuleRefusal('an input of three dimensions needs the attribute num_heads')
  const divided = builder.add('Reshape', [c.x(0), builder.integers([0, 0, count, -1])])
  return builder.transpose(divided, [0, 2, 1, 3])
}

function cut(c: RewriteContext, value: string, from: number, to: number, step = 1): string {
  const { builder } = c
  const [starts, ends, axes, steps] = [[from], [to], [3], [step]].map((one) => builder.integers(one))
  return builder.add('Slice', [value, starts!, ends!, axes!, steps!])
}

function isInterleaved(c: RewriteContext): boolean {
  return intAttribute(c.node, 'interleaved', 0) === 1
}

/** Neighbours are a plane, or the first half with the second. */
function planes(c: RewriteContext, value: string): Planes {
  if (isInterleaved(c))
    return { first: cut(c, value, 0, END_OF_ANY, 2), second: cut(c, value, 1, END_OF_ANY, 2) }
  const [first = '', second = ''] = c.builder.addMany('Split', [value], 2, { axis: 3, num_outputs: 2 })
  return { first, second }
}

// (x, y) -> (x cos - y sin, x sin + y cos)
function turnedBy(c: RewriteContext, { first, second }: Planes): Planes {
  const { builder } = c
  const [cos, sin] = [angle(c, 1), angle(c, 2)]
  return {
    first: builder.add('Sub', [builder.mul(first, cos), builder.mul(second, sin)]),
    second: builder.add('Add', [builder.mul(first, sin), builder.mul(second, cos)]),
  }
}

/** A cache's rows at the positions (or as they are), with an axis for the heads: [batch, 1, length, size / 2]. */
function angle(c: RewriteContext, input: 1 | 2): string {
  const { builder } = c
  const rows = c.x(3) === '' ? c.x(input) : builder.add('Gather', [c.x(input), c.x(3)])
  return builder.add('Unsqueeze', [rows, builder.integers([1])])
}

function together(c: RewriteContext, first: string, second: string, like: string): string {
  const { builder } = c
  if (!isInterleaved(c)) return builder.add('Concat', [first, second], { axis: 3 })
  const apart = (value: string): string => builder.add('Unsqueeze', [value, builder.integers([4])])
  return builder.reshapeLike(builder.add('Concat', [apart(first), apart(second)], { axis: 4 }), like)
}
