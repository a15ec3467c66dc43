import type { AttributeValue } from '../../../src/onnx/attributes.js'
import { given, ints, real, runtime } from '../operator-case.js'
import type { Operand, OperatorCase } from '../operator-case.js'
import { reductions } from './reductions.js'

type Attributes = Readonly<Record<string, AttributeValue>>

/** Numbers of which each row has as many zeros as its index: a product's derivative is exact there too. */
const zeros = [2, -1, 3, 0.5, 1.5, 0, -2, 3, 0, 2, 0, -1, 0, 0, 0, 4]

const product = (title: string, inputs: readonly Operand[], attributes: Attributes = {}): OperatorCase => ({
  op: 'ReduceProd',
  title,
  inputs,
  attributes,
})

const PRODUCTS: readonly OperatorCase[] = [
  product('with none, one, two and three zeros', [given(zeros, [4, 4]), ints([1])]),
  product('with zeros along dropped columns', [given(zeros, [4, 4]), ints([0])], { keepdims: 0 }),
  product('with one zero over all', [given([1, 2, 0, 3, -1, 2], [2, 3])], { keepdims: 0 }),
  product('with zeros over axes given at run time', [given(zeros, [4, 4], ['N', 'C']), runtime([-1])]),
]

/** All directions of a running sum or product. */
function running(
  op: string,
  title: string,
  x: Operand,
  axis: Operand,
  opset: number,
  dtype: OperatorCase['dtype'] = 'float64',
): OperatorCase[] {
  const test = (direction: string, attributes: Attributes): OperatorCase => ({
    op,
    title: `${title}${direction}`,
    inputs: [x, axis],
    attributes,
    opset,
    dtype,
  })
  return [
    test('', {}),
    test(', exclusive', { exclusive: 1 }),
    test(', reverse', { reverse: 1 }),
    test(', exclusive and reverse', { exclusive: 1, reverse: 1 }),
  ]
}

const symbolic = { as: ['N', 'T', 'C'] }

/** An axis without axes of its own, as CumSum from version 14 on and CumProd want it. */
const axis = (value: number): Operand => ints([value], [])

export const ACCUMULATION_CASES: readonly OperatorCase[] = [
  ...reductions('ReduceL1', (shape, as) => real(shape, { off: [0], ...(as && { as }) })),
  ...reductions('ReduceL2', (shape, as) => real(shape, { low: 0.5, ...(as && { as }) })),
  ...reductions('ReduceSumSquare', (shape, as) => real(shape, { ...(as && { as }) })),
  ...reductions('ReduceLogSum', (shape, as) => real(shape, { low: 0.5, ...(as && { as }) })),
  ...reductions('ReduceLogSumExp', (shape, as) => real(shape, { ...(as && { as }) })),
  ...reductions('ReduceProd', (shape, as) => real(shape, { low: 0.5, high: 1.5, ...(as && { as }) })),
  ...PRODUCTS,
  ...running('CumSum', 'along the first axis', real([4, 3]), axis(0), 18),
  ...running('CumSum', 'along a negative axis', real([2, 3, 4], symbolic), axis(-2), 18),
  ...running('CumSum', 'along an axis given at run time', real([2, 3, 4]), runtime([1]), 18),
  ...running('CumSum', 'in opset 11', real([4, 3]), axis(1), 11, 'float32'),
  ...running('CumProd', 'along the first axis', real([4, 3]), axis(0), 26),
  ...running('CumProd', 'along a negative axis', real([2, 3, 4], symbolic), axis(-2), 26),
  ...running('CumProd', 'with zeros along the rows', given(zeros, [4, 4]), axis(1), 26),
  ...running('CumProd', 'with zeros along the columns', given(zeros, [4, 4], ['N', 'C']), axis(0), 26),
]
