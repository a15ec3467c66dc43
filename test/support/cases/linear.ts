import type { Shape } from '../../../src/onnx/graph.js'
import { constant, real } from '../operator-case.js'
import type { OperatorCase } from '../operator-case.js'

function matMul(
  title: string,
  a: readonly number[],
  b: readonly number[],
  asA?: Shape,
  asB?: Shape,
): OperatorCase {
  return {
    title,
    op: 'MatMul',
    inputs: [real(a, { ...(asA && { as: asA }) }), real(b, { ...(asB && { as: asB }) })],
  }
}

const MATMULS: readonly OperatorCase[] = [
  matMul('of two vectors', [4], [4]),
  matMul('of a vector and a matrix', [4], [4, 3]),
  matMul('of a matrix and a vector', [3, 4], [4]),
  matMul('of a vector and a batch of matrices', [4], [2, 4, 3]),
  matMul('of a batch of matrices and a vector', [2, 3, 4], [4]),
  matMul('of a vector and rank 4', [4], [2, 5, 4, 3]),
  matMul('of rank 4 and a vector', [2, 5, 3, 4], [4]),
  matMul('of matrices', [3, 4], [4, 5]),
  matMul('of a batch and a matrix', [2, 3, 4], [4, 5]),
  matMul('of rank 4 and a matrix', [2, 6, 3, 4], [4, 5]),
  matMul('of a matrix and a batch', [3, 4], [2, 4, 5]),
  matMul('of a matrix and rank 4', [3, 4], [2, 6, 4, 5]),
  matMul('of equal batches', [2, 3, 4], [2, 4, 5]),
  matMul('of equal batches of rank 4', [2, 6, 3, 4], [2, 6, 4, 5]),
  matMul('with the left batch repeated', [1, 3, 4], [2, 4, 5]),
  matMul('with the right batch repeated', [2, 3, 4], [1, 4, 5]),
  matMul('with both batches repeated', [2, 1, 3, 4], [1, 6, 4, 5]),
  matMul('with a batch axis missing on the right', [2, 6, 3, 4], [6, 4, 5]),
  matMul('with a batch axis missing on the left', [6, 3, 4], [2, 1, 4, 5]),
  matMul('with a symbolic batch', [3, 4], [4, 5], ['N', 4]),
  matMul('with all sizes symbolic', [3, 4], [4, 5], ['N', 'K'], ['K', 'M']),
  matMul('with a symbolic inner size behind a batch', [2, 3, 4], [4, 5], ['N', 'T', 'K'], ['K', 5]),
  matMul('with symbolic batches of one name', [2, 6, 3, 4], [2, 6, 4, 5], ['N', 6, 'T', 4], ['N', 6, 4, 'S']),
  matMul('with symbolic batches that differ', [2, 3, 4], [1, 4, 5], ['N', 3, 4], ['M', 4, 5]),
  matMul('with a symbolic batch missing on the right', [2, 3, 4], [4, 5], ['N', 3, 4], ['K', 5]),
  matMul('of symbolic vectors', [4], [4], ['K'], ['K']),
  matMul('of a symbolic vector and a symbolic batch', [4], [2, 4, 3], ['K'], ['N', 'K', 'M']),
]

const BIASES: readonly (readonly [title: string, shape: readonly number[]])[] = [
  ['a row', [5]],
  ['a row of rank 2', [1, 5]],
  ['a column', [3, 1]],
  ['a scalar', []],
  ['one element', [1]],
  ['a full matrix', [3, 5]],
]

const ORIENTATIONS = [0, 1].flatMap((transA) =>
  [0, 1].map((transB): OperatorCase => {
    const inputs = [real(transA === 1 ? [4, 3] : [3, 4]), real(transB === 1 ? [5, 4] : [4, 5]), real([5])]
    const attributes = { transA, transB, alpha: { float: 0.5 }, beta: { float: 1.5 } }
    return {
      title: `with transA ${transA}, transB ${transB}, alpha and beta`,
      op: 'Gemm',
      inputs,
      attributes,
    }
  }),
)

const GEMMS: readonly OperatorCase[] = [
  ...ORIENTATIONS,
  ...BIASES.map(([name, shape]) => ({
    title: `with ${name} as C`,
    op: 'Gemm',
    inputs: [real([3, 4]), real([4, 5]), real(shape)],
    attributes: { beta: { float: -0.5 } },
  })),
  { title: 'without C', op: 'Gemm', inputs: [real([3, 4]), real([4, 5])] },
  {
    title: 'with a symbolic batch',
    op: 'Gemm',
    inputs: [real([3, 4], { as: ['N', 4] }), real([5, 4]), real([5])],
    attributes: { transB: 1 },
  },
  {
    title: 'with all sizes symbolic',
    op: 'Gemm',
    inputs: [real([3, 4], { as: ['N', 'K'] }), real([4, 5], { as: ['K', 'M'] }), real([5], { as: ['M'] })],
  },
  {
    title: 'with a symbolic C that is repeated',
    op: 'Gemm',
    inputs: [real([3, 4], { as: ['N', 'K'] }), real([4, 5]), real([1, 5], { as: ['R', 5] })],
  },
  { title: 'of a constant left side', op: 'Gemm', inputs: [constant([1, 2, 3, 4], [1, 4]), real([4, 5])] },
]

export const LINEAR_CASES: readonly OperatorCase[] = [...MATMULS, ...GEMMS]
