import type { AttributeValue } from '../../../src/onnx/attributes.js'
import { bools, constant, ints, omitted, real } from '../operator-case.js'
import type { Operand, OperatorCase } from '../operator-case.js'

interface Form {
  readonly title: string
  readonly inputs: readonly Operand[]
  readonly attributes?: Readonly<Record<string, AttributeValue>>
  readonly outputs?: number
  readonly opset?: number
  readonly step?: number
}

/** A longer step where the derivative along all keys together is exactly 0: what is left is rounding over the step. */
/** What exporters write for a key that is masked, where they don't write minus infinity. */
const LOWEST = -3.4028234663852886e38

const STEP = 2 ** -4

const heads = (count: number, length: number, size = 4): Operand => real([2, count, length, size])
const flat = (length: number, size: number): Operand => real([2, length, size])
const symbolic = (count: number, length: number, name: string): Operand =>
  real([2, count, length, 4], { as: ['N', count, name, 4] })

const MASK = bools([1, 0, 1, 1, 1, 1, 0, 1, 0, 1, 1, 0, 1, 1, 0], [3, 5])
const EMPTY_ROW = bools([1, 0, 1, 1, 1, 0, 0, 0, 0, 0, 1, 0, 1, 1, 0], [3, 5])
const QKV = [heads(2, 3), heads(2, 5), heads(2, 5, 3)]

const FORMS: readonly Form[] = [
  { title: 'of four dimensions', inputs: QKV },
  {
    title: 'of symbolic sizes',
    inputs: [symbolic(2, 3, 'S'), symbolic(2, 5, 'T'), symbolic(2, 5, 'T')],
  },
  { title: 'of one query for all lengths', inputs: [heads(1, 1), heads(1, 1), heads(1, 1)] },
  {
    title: 'of three dimensions',
    inputs: [flat(3, 8), flat(5, 8), flat(5, 6)],
    attributes: { q_num_heads: 2, kv_num_heads: 2 },
  },
  {
    title: 'of three symbolic dimensions',
    inputs: [
      real([2, 3, 8], { as: ['N', 'S', 8] }),
      real([2, 5, 8], { as: ['N', 'T', 8] }),
      real([2, 5, 6], { as: ['N', 'T', 6] }),
    ],
    attributes: { q_num_heads: 2, kv_num_heads: 2 },
  },
  { title: 'with a scale', inputs: QKV, attributes: { scale: { float: 0.3 } } },
  { title: 'with a soft cap', inputs: QKV, attributes: { softcap: { float: 1.5 } } },
  { title: 'causal', inputs: [heads(2, 4), heads(2, 4), heads(2, 4)], attributes: { is_causal: 1 } },
  {
    title: 'causal, of symbolic length',
    inputs: [symbolic(2, 4, 'S'), symbolic(2, 4, 'S'), symbolic(2, 4, 'S')],
    attributes: { is_causal: 1 },
  },
  { title: 'with a mask of truth values', inputs: [...QKV, MASK] },
  { title: 'with a causal mask of truth values', inputs: [...QKV, MASK], attributes: { is_causal: 1 } },
  { title: 'with a trained bias', inputs: [...QKV, real([3, 5])] },
  { title: 'with a trained bias for each head', inputs: [...QKV, real([2, 2, 3, 5])] },
  {
    title: 'with a constant bias',
    inputs: [...QKV, constant([1, 2, 3, 4, 5, 5, 4, 3, 2, 1, 1, 1, 1, 1, 1], [3, 5])],
  },
  {
    title: 'with a row of the lowest number',
    inputs: [
      ...QKV,
      constant([0, 0, 0, 0, 0, ...Array.from({ length: 5 }, () => LOWEST), 1, LOWEST, 1, 1, 1], [3, 5]),
    ],
  },
  { title: 'of grouped queries', inputs: [heads(4, 3), heads(2, 5), heads(2, 5)], step: STEP },
  {
    title: 'of grouped queries in three dimensions',
    inputs: [flat(3, 16), flat(5, 8), flat(5, 8)],
    attributes: { q_num_heads: 4, kv_num_heads: 2 },
  },
  {
    title: 'of grouped queries with symbolic sizes',
    inputs: [symbolic(4, 3, 'S'), symbolic(2, 5, 'T'), symbolic(2, 5, 'T')],
    step: STEP,
  },
  {
    title: 'of grouped queries with numbers of heads that only the data tells',
    inputs: [
      real([2, 4, 3, 4], { as: ['N', 'H', 'S', 4] }),
      real([2, 2, 5, 4], { as: ['N', 'K', 'T', 4] }),
      real([2, 2, 5, 4], { as: ['N', 'K', 'T', 4] }),
    ],
    step: STEP,
  },
  {
    title: 'behind a cache, which is given back',
    inputs: [heads(2, 3), heads(2, 3), heads(2, 3), omitted, heads(2, 2), heads(2, 2)],
    outputs: 3,
  },
  {
    title: 'behind a cache, causal',
    inputs: [heads(2, 3), heads(2, 3), heads(2, 3), omitted, heads(2, 2), heads(2, 2)],
    attributes: { is_causal: 1 },
    outputs: 3,
  },
  ...[0, 1, 2, 3].map((mode): Form => ({
    title: `with the scores of stage ${mode}`,
    inputs: [...QKV, real([3, 5])],
    attributes: { qk_matmul_output_mode: mode },
    outputs: 4,
  })),
  { title: 'with a row that attends to nothing', inputs: [...QKV, EMPTY_ROW], opset: 24 },
  {
    title: 'with lengths of its own for each sample',
    inputs: [...QKV, omitted, omitted, omitted, ints([3, 5])],
    opset: 24,
  },
  {
    title: 'with lengths of its own for each sample, causal',
    inputs: [...QKV, omitted, omitted, omitted, ints([3, 5])],
    attributes: { is_causal: 1 },
    opset: 24,
  },
]

const ANGLES = (rows: number, size: number): Operand => real([rows, size])
const PLACES = ints([3, 1, 0, 2, 2, 4], [2, 3])

const ROTARY: readonly Form[] = [0, 1].flatMap((interleaved): Form[] => {
  const way = interleaved === 1 ? 'of neighbours' : 'of halves'
  const one = (title: string, inputs: readonly Operand[], attributes: Form['attributes'] = {}): Form => ({
    title: `${way}, ${title}`,
    inputs,
    attributes: { interleaved, ...attributes },
  })
  return [
    one('with positions', [heads(2, 3), ANGLES(5, 2), ANGLES(5, 2), PLACES]),
    one('without positions', [heads(2, 3), real([2, 3, 2]), real([2, 3, 2])]),
    one('in three dimensions', [flat(3, 8), ANGLES(5, 2), ANGLES(5, 2), PLACES], { num_heads: 2 }),
    one('partly', [real([2, 2, 3, 6]), ANGLES(5, 2), ANGLES(5, 2), PLACES], {
      rotary_embedding_dim: 4,
      num_heads: 2,
    }),
    one('of a size that only the data tells', [
      real([2, 2, 3, 4], { as: ['N', 'H', 'S', 'D'] }),
      ANGLES(5, 2),
      ANGLES(5, 2),
      PLACES,
    ]),
    one('of symbolic sizes', [symbolic(2, 3, 'S'), ANGLES(5, 2), ANGLES(5, 2), PLACES]),
  ]
})

/** ONNX Runtime's CPU provider computes both in float32 alone. */
const all = (op: string, forms: readonly Form[]): OperatorCase[] =>
  forms.map((form) => ({ op, dtype: 'float32', opset: 23, ...form }))

export const ATTENTION_CASES: readonly OperatorCase[] = [
  ...all('Attention', FORMS),
  ...all('RotaryEmbedding', ROTARY),
]
