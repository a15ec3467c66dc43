import { floatAttribute, intAttribute } from '../../onnx/attributes.js'
import { dtypeOf } from '../../onnx/dtypes.js'
import { Formula } from '../formula.js'
import { Integers } from '../integers.js'
import type { Integer } from '../integers.js'
import { RuleRefusal, rewritten } from '../rule.js'
import type { RewriteContext, Treatments } from '../rule.js'
import { attentionMask } from './attention-mask.js'
import { rotated } from './rotary.js'

/** Attention and rotary embeddings, by the operators that define them. */
export const ATTENTION: Treatments = {
  // softmax(Q K^T scale + mask) V by head (Attention 23, 24)
  Attention: rewritten(attention),
  RotaryEmbedding: rewritten((c) => [rotated(c)]),
}

/** Query, key and value as [batch, heads, length, size], with as many heads each. */
interface Heads {
  readonly q: string
  readonly k: string
  readonly v: string
  /** Key and value before they are repeated for the query's heads: the caches that are given back. */
  readonly presentKey: string
  readonly presentValue: string
}

function attention(c: RewriteContext): readonly (string | undefined)[] {
  const { builder } = c
  if (c.node.attributes.has('left_window_size') || c.node.attributes.has('right_window_size'))
    throw new RuleRefusal('its sliding window (Attention 25) is not run by ONNX Runtime')
  const { q, k, v, presentKey, presentValue } = heads(c)
  const product = builder.add('MatMul', [scaled(c, q), builder.transpose(k, [0, 1, 3, 2])])
  const capped = softcapped(c, product)
  const mask = attentionMask(c, q, k)
  const biased = mask === undefined ? capped : mask.applied(capped)
  const probabilities = mask?.cleaned(softmax(c, biased)) ?? softmax(c, biased)
  const y = builder.add('MatMul', [probabilities, v])
  const stages = [product, capped, biased, probabilities]
  return [
    c.shape(0).length === 3 ? joinedHeads(c, y) : y,
    presentKey,
    presentValue,
    stages[intAttribute(c.node, 'qk_matmul_output_mode', 0)],
  ]
}

function heads(c: RewriteContext): Heads {
  const q = split(c, 0, 'q_num_heads')
  const presentKey = joined(c, c.x(4), split(c, 1, 'kv_num_heads'))
  const presentValue = joined(c, c.x(5), split(c, 2, 'kv_num_heads'))
  const repeats = repeatsPerHead(c, q, presentKey)
  return {
    q,
    k: repeated(c, presentKey, repeats),
    v: repeated(c, presentValue, repeats),
    presentKey,
    presentValue,
  }
}

/** [batch, length, heads x size] as [batch, heads, length, size]. */
function split(c: RewriteContext, input: number, attribute: string): string {
  const { builder } = c
  if (c.shape(input).length === 4) return c.x(input)
  const count = intAttribute(c.node, attribute, 0)
  if (count === 0) throw new RuleRefusal(`inputs of three dimensions need the attribute ${attribute}`)
  const divided = builder.add('Reshape', [c.x(input), builder.integers([0, 0, count, -1])])
  return builder.transpose(divided, [0, 2, 1, 3])
}

function joinedHeads(c: RewriteContext, value: string): string {
  const { builder } = c
  return builder.add('Reshape', [builder.transpose(value, [0, 2, 1, 3]), builder.integers([0, 0, -1])])
}

/** What came before, then what is new, along the length. */
function joined(c: RewriteContext, past: string, value: string): string {
  return past === '' ? value : c.builder.add('Concat', [past, value], { axis: 2 })
}

/** How many heads of the query share one of key and value. */
function repeatsPerHead(c: RewriteContext, q: string, k: string): Integer {
  const [of, to] = [c.builder.shapeOf(q)?.[1], c.builder.shapeOf(k)?.[1]]
  if (of === to && of !== undefined) return 1
  const integers = new Integers(c.builder)
  return integers.div(integers.size(q, 1), integers.size(k, 1))
}

/** Every head of [batch, heads, length, size] so many times in a row. */
function repeated(c: RewriteContext, value: string, times: Integer): string {
  if (times === 1) return value
  const { builder } = c
  const integers = new Integers(builder)
  const apart = builder.add('Unsqueeze', [value, builder.integers([2])])
  const tiled = builder.add('Expand', [apart, integers.vector([1, 1, times, 1, 1])])
  const [batch, heads, length, size] = [0, 1, 2, 3].map((axis) => integers.size(value, axis))
  const shape = [batch!, integers.mul(heads!, times), length!, size!]
  return builder.reshapeTo(tiled, integers.vector(shape))
}

/** The query times the scale, 1 / sqrt(head size) unless said otherwise. */
function scaled(c: RewriteContext, q: string): string {
  const { builder } = c
  const given = c.node.attributes.get('scale')
  if (given !== undefined) return builder.scale(q, given.f)
  const size = builder.shapeOf(q)?.[3]
  if (typeof size === 'number') return builder.scale(q, 1 / Math.sqrt(size))
  const count = builder.cast(builder.sizes(q, [3]), builder.dtype(q))
  return builder.add('Div', [q, builder.add('Sqrt', [count])])
}

// cap tanh(x / cap)
function softcapped(c: RewriteContext, product: string): string {
  const cap = floatAttribute(c.node, 'softcap', 0)
  if (cap <= 0) return product
  const f = new Formula(c.builder, product)
  return f.mul(f.call('Tanh', f.mul(product, 1 / cap)), cap)
}

function softmax(c: RewriteContext, scores: string): string {
  const { builder } = c
  const precision = dtypeOf(intAttribute(c.node, 'softmax_precision', 0))
  const own = builder.dtype(scores)
  const value = precision === undefined ? scores : builder.cast(scores, precision)
  return builder.cast(builder.add('Softmax', [value], { axis: -1 }), own)
}
