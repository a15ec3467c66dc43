import { intAttribute } from '../../onnx/attributes.js'
import type { GraphBuilder } from '../../onnx/builder.js'
import type { DType } from '../../tensor.js'
import type { RewriteContext } from '../rule.js'

/**
 * Which key each query may attend to, and what is added to its score. A masked score becomes so low that its
 * probability is exactly 0; a query that may attend to nothing gets probabilities 0 rather than NaN (Attention 24).
 */
export interface AttentionMask {
  readonly applied: (scores: string) => string
  readonly cleaned: (probabilities: string) => string
}

/** Finite, so that rows of nothing else stay numbers, and so low that exp of it is 0, with any score added. */
function lowest(builder: GraphBuilder, value: string): string {
  const dtype = builder.dtype(value)
  return builder.scalar(dtype === 'float16' ? -3e4 : -1e30, dtype)
}

/** The mask of all rules together, for query and key of [batch, heads, length, size]; undefined where none applies. */
export function attentionMask(c: RewriteContext, q: string, k: string): AttentionMask | undefined {
  const { builder } = c
  const given = givenMask(c, k)
  const isBool = given !== '' && builder.info(given).dtype === 'bool'
  const allowed = conjunction(c, [...positionRules(c, q, k), ...(isBool ? [given] : [])])
  const bias = given === '' || isBool ? undefined : given
  if (allowed === undefined && bias === undefined) return undefined
  return {
    applied: (scores) => masked(c, biased(c, scores, bias), allowed),
    cleaned: (probabilities) => cleaned(c, probabilities, allowed, bias),
  }
}

function conjunction(c: RewriteContext, rules: readonly string[]): string | undefined {
  const [first, ...others] = rules
  return first === undefined
    ? undefined
    : others.reduce((all, one) => c.builder.add('And', [all, one]), first)
}

function biased(c: RewriteContext, scores: string, bias: string | undefined): string {
  const { builder } = c
  if (bias === undefined) return scores
  const finite = builder.add('Max', [bias, lowest(builder, bias)])
  return builder.add('Add', [scores, finite])
}

function masked(c: RewriteContext, scores: string, allowed: string | undefined): string {
  const { builder } = c
  if (allowed === undefined) return scores
  return builder.add('Where', [allowed, scores, lowest(builder, scores)])
}

/** Zeros in the rows that no rule leaves a key; causal rules alone leave every query its own. */
function cleaned(
  c: RewriteContext,
  probabilities: string,
  allowed: string | undefined,
  bias: string | undefined,
): string {
  const { builder } = c
  if (bias === undefined && c.x(3) === '' && c.x(6) === '') return probabilities
  const dtype = builder.dtype(probabilities)
  const open = allowed === undefined ? undefined : builder.cast(allowed, dtype)
  const added = bias === undefined ? undefined : notMinusInfinity(c, bias)
  const one = open === undefined ? added! : added === undefined ? open : builder.mul(open, added)
  const any = builder.add('ReduceMax', [one, builder.integers([-1])], { keepdims: 1 })
  return builder.mul(probabilities, any)
}

/** A key is masked by minus infinity, and in ONNX Runtime by the lowest finite number too. */
function notMinusInfinity(c: RewriteContext, bias: string): string {
  const { builder } = c
  const dtype = builder.dtype(bias)
  const lowestOf = LOWEST_OF[dtype] ?? -Number.MAX_VALUE
  return builder.cast(builder.add('Greater', [bias, builder.scalar(lowestOf, dtype)]), dtype)
}

const LOWEST_OF: Partial<Record<DType, number>> = {
  float16: -65504,
  bfloat16: -3.3895313892515355e38,
  float32: -3.4028234663852886e38,
}

/** attn_mask; where its last axis is shorter than the keys (Attention 24), the keys beyond are masked. */
function givenMask(c: RewriteContext, k: string): string {
  const { builder } = c
  const mask = c.x(3)
  if (mask === '' || builder.opset < 24) return mask
  const shape = c.shape(3)
  const [size, keys] = [shape[shape.length - 1], builder.shapeOf(k)?.[2]]
  if (size === keys || size === 1) return mask
  const missing = builder.add('Sub', [builder.sizes(k, [2]), builder.sizes(mask, [shape.length - 1])])
  const zeros = builder.integers(shape.map(() => 0))
  const pads = builder.add('Concat', [zeros, builder.integers(shape.slice(1).map(() => 0)), missing], {
    axis: 0,
  })
  const dtype = builder.info(mask).dtype === 'bool' ? 'bool' : builder.dtype(mask)
  return builder.add('Pad', [mask, pads, builder.scalar(dtype === 'bool' ? 0 : -Infinity, dtype)])
}

/** Rules by position: causal, padding. Each is broadcast to [batch, heads, query, key]. */
function positionRules(c: RewriteContext, q: string, k: string): string[] {
  const { builder, node } = c
  const causal = intAttribute(node, 'is_causal', 0) === 1
  const valid = c.x(6)
  const compare = (op: string, bound: string): string => builder.add(op, [positions(c, k), bound])
  return [
    ...(valid === '' ? [] : [compare('Less', column(c, valid))]),
    ...(causal ? [compare('LessOrEqual', queryPositions(c, q))] : []),
  ]
}

/** 0, 1, ... along the length of a value [batch, heads, length, size]. */
function positions(c: RewriteContext, value: string): string {
  const { builder } = c
  const length = builder.add('Squeeze', [builder.sizes(value, [2]), builder.integers([0])])
  return builder.add('Range', [builder.scalar(0, 'int64'), length, builder.scalar(1, 'int64')])
}

/** Where each query stands among the keys, as a column: behind the cache, or at the end of what is valid of it. */
function queryPositions(c: RewriteContext, q: string): string {
  const { builder } = c
  const index = builder.add('Unsqueeze', [positions(c, q), builder.integers([1])])
  const [past, valid] = [c.x(4), c.x(6)]
  if (past !== '') return builder.add('Add', [index, builder.sizes(past, [2])])
  if (valid === '') return index
  const offset = builder.add('Sub', [column(c, valid), builder.sizes(q, [2])])
  return builder.add('Add', [index, offset])
}

/** Numbers [batch] as [batch, 1, 1, 1]. */
function column(c: RewriteContext, value: string): string {
  return c.builder.reshape(c.builder.cast(value, 'int64'), [-1, 1, 1, 1])
}
