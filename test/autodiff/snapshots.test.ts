import { readFileSync, writeFileSync } from 'node:fs'
import { expect } from 'chai'
import { differentiate } from '../../src/autodiff/differentiate.js'
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

function gradientText(model: Graph, loss: 'cross-entropy' | 'mse'): string {
  return graphText(
    differentiate(model, { parameters: [...model.initializers.keys()], loss: { kind: loss } }).graph,
  )
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

  it('of a convolutional network with mse', () => {
    expectSnapshot('convolutional', gradientText(convolutional, 'mse'))
  })
})
