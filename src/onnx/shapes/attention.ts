import { intAttribute } from '../attributes.js'
import type { Dim, Shape } from '../graph.js'
import type { NodeView } from '../infer.js'
import { product, quotient } from './dims.js'
import type { ShapeRule } from './rule.js'

/** Attention 23, 24: the result, the caches of key and value, the scores. */
const attention: ShapeRule = (view) => {
  const { dtype } = view.info(0)
  const [q, k, v] = [heads(view, 0, 'q_num_heads'), cached(view, 1, 4), cached(view, 2, 5)]
  const values = q && v && [...q.slice(0, 3), v[3]!]
  const isFlat = view.shape(0)?.length === 3
  const joined = values && [values[0]!, values[2]!, product([values[1]!, values[3]!])]
  return [
    { dtype, shape: isFlat ? joined : values },
    { dtype, shape: k },
    { dtype, shape: v },
    { dtype, shape: q && k && [...q.slice(0, 3), k[2]!] },
  ]
}

/** An input as [batch, heads, length, size]. */
function heads(view: NodeView, input: number, attribute: string): Shape | undefined {
  const shape = view.shape(input)
  if (shape?.length !== 3) return shape
  const count = intAttribute(view.node, attribute, 0)
  return [shape[0]!, count, shape[1]!, quotient(shape[2]!, count) ?? view.fresh()]
}

/** Key or value, with what the cache holds in front of it. */
function cached(view: NodeView, input: number, cache: number): Shape | undefined {
  const shape = heads(view, input, 'kv_num_heads')
  if (shape === undefined || (view.node.inputs[cache] ?? '') === '') return shape
  return shape.with(2, sum(view.shape(cache)?.[2], shape[2]!) ?? view.fresh())
}

function sum(a: Dim | undefined, b: Dim): Dim | undefined {
  return typeof a === 'number' && typeof b === 'number' ? a + b : undefined
}

export const ATTENTION_SHAPES: Readonly<Record<string, ShapeRule>> = {
  Attention: attention,
  RotaryEmbedding: (view) => [view.info(0)],
}
