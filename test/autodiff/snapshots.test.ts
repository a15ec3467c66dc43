import { readFileSync, writeFileSync } from 'node:fs'
import { expect } from 'chai'
import { differentiate } from '../../src/autodiff/differentiate.js'
import type { DifferentiateOptions } from '../../src/autodiff/differentiate.js'
import { parseLoss } from '../../src/autodiff/losses.js'
import type { Graph } from '../../src/onnx/graph.js'
import { graphText } from '../../src/onnx/text.js'
import { graphOf, input, node, tensor } from '../support/graphs.js'

const zeros = (...shape: number[]): ReturnType<typeof tensor> =>
  tensor('float32', shape, new Array<number>(shape.reduce((product, size) => product * size, 1)).fill(0))

const perceptron = graphOf({
  inputs: [input('x', ['batch', 4])],
  initializers: { w1: zeros(3, 4), b1: zeros(3), w2: zeros(3, 2), b2: zeros(2) },
  nodes: [
    node('Gemm', ['x', 'w1', 'b1'], 'h1', { transB: 1 }),
    node('Relu', ['h1'], 'a1'),
    node('MatMul', ['a1', 'w2'], 'h2'),
    node('Add', ['h2', 'b2'], 'logits'),
  ],
  outputs: ['logits'],
})

const convolutional = graphOf({
  inputs: [input('image', ['batch', 1, 8, 8])],
  initializers: { k: zeros(2, 1, 3, 3), c: zeros(2), w: zeros(3, 18), b: zeros(3) },
  nodes: [
    node('Conv', ['image', 'k', 'c'], 'h1'),
    node('Tanh', ['h1'], 'a1'),
    node('MaxPool', ['a1'], 'p1', { kernel_shape: [2, 2], strides: [2, 2] }),
    node('Flatten', ['p1'], 'f1'),
    node('Gemm', ['f1', 'w', 'b'], 'y', { transB: 1 }),
  ],
  outputs: ['y'],
})

const normalized = graphOf({
  inputs: [input('image', ['batch', 2, 'height', 'width'])],
  initializers: {
    k: zeros(3, 2, 1, 1),
    scale: zeros(3),
    shift: zeros(3),
    mean: zeros(3),
    variance: zeros(3),
  },
  nodes: [
    node('Conv', ['image', 'k'], 'h'),
    node('BatchNormalization', ['h', 'scale', 'shift', 'mean', 'variance'], 'y'),
  ],
  outputs: ['y'],
})

const recurrent = graphOf({
  inputs: [input('sequence', ['batch', 'time', 2])],
  initializers: {
    w: zeros(1, 12, 2),
    r: zeros(1, 12, 4),
    b: zeros(1, 24),
    v: zeros(4, 2),
    rows: tensor('int64', [2], [-1, 4]),
  },
  nodes: [
    node('Transpose', ['sequence'], 'steps', { perm: [1, 0, 2] }),
    node('GRU', ['steps', 'w', 'r', 'b'], ['', 'last'], { hidden_size: 4, linear_before_reset: 1 }),
    node('Reshape', ['last', 'rows'], 'state'),
    node('MatMul', ['state', 'v'], 'y'),
  ],
  outputs: ['y'],
})

function gradientText(
  model: Graph,
  loss: 'cross-entropy' | 'mse',
  options: Pick<DifferentiateOptions, 'batchNorm' | 'forms'> = {},
): string {
  const parameters = [...model.initializers].flatMap(([name, { dtype }]) =>
    dtype === 'float32' ? [name] : [],
  )
  return graphText(differentiate(model, { parameters, loss: parseLoss(loss), ...options }).graph)
}

/** Compares with test/snapshots/NAME.txt; with UPDATE_SNAPSHOTS=1 in the environment the file is written anew. */
function expectSnapshot(name: string, text: string): void {
  const path = `test/snapshots/${name}.txt`
  if (process.env['UPDATE_SNAPSHOTS'] === '1') writeFileSync(path, text)
  expect(text).to.equal(readFileSync(path, 'utf8'))
}

describe('the gradient graph, as text, is the one that was looked at', () => {
  it('of a perceptron with cross-entropy', () => {
    expectSnapshot('perceptron', gradientText(perceptron, 'cross-entropy'))
  })

  it('of a batch normalization on recorded statistics', () => {
    expectSnapshot('batch-norm-running', gradientText(normalized, 'mse'))
  })

  it('of a batch normalization on the statistics of the batch', () => {
    expectSnapshot('batch-norm-batch', gradientText(normalized, 'mse', { batchNorm: 'batch' }))
  })

  it('of a recurrent network', () => {
    expectSnapshot('recurrent', gradientText(recurrent, 'mse'))
  })

  it('of a convolutional network for WebGPU', () => {
    expectSnapshot('convolutional-webgpu', gradientText(convolutional, 'mse', { forms: 'webgpu' }))
  })

  it('of a convolutional network with mse', () => {
    expectSnapshot('convolutional', gradientText(convolutional, 'mse'))
  })
})
