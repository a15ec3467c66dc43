import { expect } from 'chai'
import type { AttributeValue } from '../../src/onnx/attributes.js'
import type { Node } from '../../src/onnx/graph.js'
import { usageOf } from '../../src/onnx/usage.js'
import type { Usage } from '../../src/onnx/usage.js'
import { graphOf, node } from '../support/graphs.js'

function usage(rank: number, ...nodes: Node[]): Usage {
  return usageOf(graphOf({ inputs: [], nodes, outputs: [] }), 'w', rank)
}

function read(
  op: string,
  inputs: readonly string[],
  values: Readonly<Record<string, AttributeValue>> = {},
): Node {
  return node(op, inputs, 'y', values)
}

describe('the role and unit axis of a tensor follow from the operator that reads it', () => {
  const cases: readonly [title: string, rank: number, reader: Node, Usage['role'], unitAxis: number][] = [
    ['a convolution’s kernel: output channels', 4, read('Conv', ['x', 'w', 'b']), 'weight', 0],
    ['a convolution’s bias', 1, read('Conv', ['x', 'k', 'w']), 'bias', 0],
    ['a transposed convolution’s kernel: output channels', 4, read('ConvTranspose', ['x', 'w']), 'weight', 1],
    ['Gemm with transB: rows', 2, read('Gemm', ['x', 'w', 'b'], { transB: 1 }), 'weight', 0],
    ['Gemm without transB: columns', 2, read('Gemm', ['x', 'w', 'b']), 'weight', 1],
    ['Gemm on the left: rows', 2, read('Gemm', ['w', 'x']), 'weight', 0],
    ['Gemm on the left with transA: columns', 2, read('Gemm', ['w', 'x'], { transA: 1 }), 'weight', 1],
    ['Gemm’s C', 1, read('Gemm', ['x', 'k', 'w']), 'bias', 0],
    ['the right operand of MatMul: its last axis', 3, read('MatMul', ['x', 'w']), 'weight', 2],
    ['the left operand of MatMul: its rows', 3, read('MatMul', ['w', 'x']), 'weight', 1],
    ['an embedding: its rows', 2, read('Gather', ['w', 'i']), 'embedding', 0],
    ['a vector that is added', 1, read('Add', ['x', 'w']), 'bias', 0],
    ['a matrix that is added', 2, read('Add', ['x', 'w']), 'weight', 0],
    ['a vector that is multiplied', 1, read('Mul', ['x', 'w']), 'norm', 0],
    ['the scale of a normalization', 1, read('BatchNormalization', ['x', 'w', 'b', 'm', 'v']), 'norm', 0],
    ['the shift of a normalization', 1, read('LayerNormalization', ['x', 's', 'w']), 'norm', 0],
    ['a running mean', 1, read('BatchNormalization', ['x', 's', 'b', 'w', 'v']), 'buffer', 0],
    ['a running variance', 1, read('BatchNormalization', ['x', 's', 'b', 'm', 'w']), 'buffer', 0],
    ['a recurrent kernel', 3, read('LSTM', ['x', 'k', 'w']), 'weight', 1],
    ['a recurrent bias', 2, read('LSTM', ['x', 'k', 'r', 'w']), 'bias', 0],
    ['a slope', 3, read('PRelu', ['x', 'w']), 'weight', 0],
    ['a vector that nothing reads', 1, read('Exp', ['x']), 'norm', 0],
    [
      'a matrix that another operator set reads',
      2,
      { ...read('MatMul', ['x', 'w']), domain: 'ex' },
      'weight',
      0,
    ],
  ]
  for (const [title, rank, reader, role, unitAxis] of cases)
    it(title, () => {
      expect(usage(rank, reader)).to.deep.equal({ role, unitAxis })
    })

  it('through a transposition, in the tensor’s own axes', () => {
    const transposed = node('Transpose', ['w'], 't', { perm: [1, 0] })
    expect(usage(2, transposed, read('MatMul', ['x', 't']))).to.deep.equal({ role: 'weight', unitAxis: 0 })
    const turned = node('Transpose', ['w'], 't', { perm: [2, 0, 1] })
    expect(usage(3, turned, read('MatMul', ['x', 't'])).unitAxis).to.equal(1)
    const reversed = node('Transpose', ['w'], 't')
    expect(usage(4, reversed, read('Conv', ['x', 't'])).unitAxis).to.equal(3)
  })

  it('through several that pass it on', () => {
    const nodes = [
      node('Identity', ['w'], 'a'),
      node('Cast', ['a'], 'b', { to: 1 }),
      node('Transpose', ['b'], 'c', { perm: [1, 0] }),
    ]
    expect(usage(2, ...nodes, read('Gather', ['c', 'i']))).to.deep.equal({ role: 'embedding', unitAxis: 1 })
    const back = node('Transpose', ['c'], 'd', { perm: [1, 0] })
    expect(usage(2, ...nodes, back, read('Gather', ['d', 'i'])).unitAxis).to.equal(0)
  })

  it('through the parts that an exporter cuts and puts together again, as for a recurrent kernel', () => {
    const cut = [
      node('Slice', ['w', 'starts', 'ends'], 'a'),
      node('Slice', ['w', 'starts', 'ends'], 'b'),
      node('Concat', ['b', 'a'], 'turned', { axis: 0 }),
      node('Unsqueeze', ['turned', 'axes'], 'k'),
    ]
    expect(usage(2, ...cut, read('GRU', ['x', 'k', 'r', 'bias']))).to.deep.equal({
      role: 'weight',
      unitAxis: 0,
    })
    expect(usage(1, ...cut, read('GRU', ['x', 'kernel', 'r', 'k']))).to.deep.equal({
      role: 'bias',
      unitAxis: 0,
    })
    const split = { ...node('Split', ['w'], 's'), outputs: ['s', 't'] }
    expect(usage(2, split, read('MatMul', ['x', 't'])).unitAxis).to.equal(1)
  })

  it('of a vector that is reshaped and added: nothing is known', () => {
    const reshaped = node('Reshape', ['w', 'shape'], 'r')
    expect(usage(1, reshaped, read('Add', ['x', 'r']))).to.deep.equal({ role: 'norm', unitAxis: 0 })
    expect(usage(2, reshaped, read('MatMul', ['x', 'r']))).to.deep.equal({ role: 'weight', unitAxis: 0 })
    expect(usage(2, reshaped, node('Transpose', ['r'], 't'), read('MatMul', ['x', 't'])).unitAxis).to.equal(0)
  })

  it('by the first that says something', () => {
    expect(
      usage(2, read('Exp', ['w']), read('Gather', ['w', 'i']), read('MatMul', ['x', 'w'])),
    ).to.deep.equal({
      role: 'embedding',
      unitAxis: 0,
    })
  })
})

describe('a tensor that is taken apart and put together', () => {
  it('again and again is followed once', () => {
    const rounds = Array.from({ length: 40 }, (_, i) => [
      node('Slice', [i === 0 ? 'w' : `j${i - 1}`, 's', 'e'], `a${i}`),
      node('Slice', [i === 0 ? 'w' : `j${i - 1}`, 's', 'e'], `b${i}`),
      node('Concat', [`a${i}`, `b${i}`], `j${i}`, { axis: 0 }),
    ])
    const nodes = [...rounds.flat(), node('Relu', ['j39'], 'y')]
    expect(usage(2, ...nodes)).to.deep.equal({ role: 'weight', unitAxis: 0 })
  })
})
