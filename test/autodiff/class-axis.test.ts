import { expect } from 'chai'
import { differentiate } from '../../src/autodiff/differentiate.js'
import type { GradientGraph } from '../../src/autodiff/differentiate.js'
import { parseLoss } from '../../src/autodiff/losses.js'
import type { LossChoices } from '../../src/autodiff/losses.js'
import { UnsupportedModelError, UsageError } from '../../src/errors.js'
import type { Graph, Node, Shape } from '../../src/onnx/graph.js'
import { graphOf, input, node, tensor } from '../support/graphs.js'
import { runOnce } from '../support/ort.js'
import type { Feeds } from '../support/ort.js'

/** A network that scales its input, of the given shape, and what a test appends to it. */
function network(shape: Shape, nodes: readonly Node[] = [], output = 'z'): Graph {
  return graphOf({
    inputs: [input('x', shape)],
    initializers: {
      scale: tensor('float32', [], [2]),
      rows: tensor('int64', [2], [-1, 5]),
      flat: tensor('int64', [2], [0, -1]),
      m: tensor('float32', [5, 5], new Array<number>(25).fill(0.1)),
      b: tensor('float32', [5], [1, 2, 3, 4, 5]),
    },
    nodes: [node('Mul', ['x', 'scale'], 'z'), ...nodes],
    outputs: [output],
  })
}

function gradientOf(graph: Graph, choices: LossChoices = {}, loss = 'cross-entropy'): GradientGraph {
  return differentiate(graph, { parameters: ['scale'], loss: parseLoss(loss, choices) })
}

/** The shape of the labels that go with a prediction, which tells its class axis. */
function labelsOf(shape: Shape, choices: LossChoices = {}, nodes: readonly Node[] = [], output = 'z'): Shape {
  return gradientOf(network(shape, nodes, output), choices).target!.input.shape!
}

describe('the class axis', () => {
  it('is axis 1 of batch x classes, and nothing is said', () => {
    const gradient = gradientOf(network(['N', 5]))
    expect(gradient.target).to.deep.include({ kind: 'labels', classes: 5 })
    expect(gradient.notes).to.deep.equal([])
  })

  it('is the only axis of known size, of the second and the last', () => {
    expect(labelsOf(['N', 5, 'T'])).to.deep.equal(['N', 'T'])
    expect(labelsOf(['N', 'T', 5])).to.deep.equal(['N', 'T'])
    expect(labelsOf(['N', 'H', 'W', 5])).to.deep.equal(['N', 'H', 'W'])
    expect(labelsOf(['N', 5, 'H', 'W'])).to.deep.equal(['N', 'H', 'W'])
    expect(labelsOf(['N', 5, 1])).to.deep.equal(['N', 1])
  })

  it('is the last of three known ones, and axis 1 of more, and that is said', () => {
    expect(labelsOf(['N', 4, 5])).to.deep.equal(['N', 4])
    expect(labelsOf(['N', 4, 5, 6])).to.deep.equal(['N', 5, 6])
    expect(labelsOf(['N', 4, 5, 6, 7])).to.deep.equal(['N', 5, 6, 7])
    expect(gradientOf(network(['N', 4, 5])).notes).to.deep.equal([
      "'z' is N x 4 x 5: axis 2 is taken as the classes, so that labels are N x 4 (--class-axis 1 for the other)",
    ])
  })

  it('is the one that has as many entries as there are class weights', () => {
    expect(labelsOf(['N', 4, 5], { classWeights: [1, 2, 3, 4] })).to.deep.equal(['N', 5])
    expect(labelsOf(['N', 5, 6, 4], { classWeights: [1, 2, 3, 4] })).to.deep.equal(['N', 5, 6])
  })

  it('is the one over which the network itself normalizes', () => {
    const softmax = (axis: number): Node[] => [node('Softmax', ['z'], 'p', { axis })]
    expect(labelsOf(['N', 4, 5], {}, softmax(1), 'p')).to.deep.equal(['N', 5])
    expect(labelsOf(['N', 4, 5, 6], {}, softmax(-1), 'p')).to.deep.equal(['N', 4, 5])
    expect(labelsOf(['N', 4, 5, 6], {}, softmax(2), 'p')).to.deep.equal(['N', 4, 6])
  })

  it('is the one that is named, also from the end', () => {
    expect(labelsOf(['N', 4, 5], { classAxis: 1 })).to.deep.equal(['N', 5])
    expect(labelsOf(['N', 4, 5, 6], { classAxis: -1 })).to.deep.equal(['N', 4, 5])
    expect(labelsOf(['N', 4, 5, 6], { classAxis: 2 })).to.deep.equal(['N', 4, 6])
    expect(gradientOf(network(['N', 4, 5]), { classAxis: 1 }).notes).to.deep.equal([])
    for (const classAxis of [3, -3])
      expect(() => labelsOf(['N', 4, 5], { classAxis })).to.throw(
        UsageError,
        /'z' is N x 4 x 5; its axes behind the batch are 1 to 2/,
      )
  })

  it('has as many weights as classes', () => {
    expect(() => labelsOf(['N', 5], { classWeights: [1, 2] })).to.throw(
      UsageError,
      /--class-weights: 2 numbers for 5 classes/,
    )
    const graph = network(['N', 5])
    expect(() => gradientOf(graph, { positiveWeights: [1, 2] }, 'bce-with-logits')).to.throw(
      UsageError,
      /--pos-weight: 2 numbers for 5 classes/,
    )
  })
})

describe('an activation at the end of the network', () => {
  const reshape = node('Reshape', ['p', 'flat'], 'y')

  it('is seen through operators that only lay values out anew', () => {
    const squeezed = [node('Softmax', ['z'], 'p', { axis: 1 }), reshape]
    const { notes, target } = gradientOf(network(['N', 5, 1, 1], squeezed, 'y'))
    expect(notes).to.deep.equal(["'y' holds probabilities: cross-entropy is taken of 'z' before Softmax"])
    expect(target!.input.shape).to.deep.equal(['N'])
    const sigmoid = [node('Sigmoid', ['z'], 'p'), reshape]
    const binary = gradientOf(network(['N', 5, 2], sigmoid, 'y'), {}, 'bce-with-logits')
    expect(binary.notes).to.deep.equal([
      "'y' holds probabilities: bce-with-logits is taken of 'z' before Sigmoid",
    ])
    expect(binary.target!.input.shape).to.deep.equal(['N', 10])
  })

  it('stays where the layout cuts up what it normalizes over', () => {
    const nodes = [node('Softmax', ['z'], 'p', { axis: 1 }), reshape]
    expect(gradientOf(network(['N', 5, 2], nodes, 'y')).notes).to.deep.equal([])
  })

  it('stays where classes are another axis', () => {
    const nodes = [node('Softmax', ['z'], 'p', { axis: 1 })]
    expect(gradientOf(network(['N', 5, 2], nodes, 'p'), { classAxis: 2 }).notes).to.deep.equal([])
  })

  it('makes nll of probabilities and of log-probabilities the cross-entropy of what stands before', () => {
    for (const [op, holds] of [
      ['Softmax', 'probabilities'],
      ['LogSoftmax', 'log-probabilities'],
    ] as const) {
      const graph = network(['N', 5], [node(op, ['z'], 'p')], 'p')
      expect(gradientOf(graph, {}, 'nll').notes).to.deep.equal([
        `'p' holds ${holds}: cross-entropy is taken of 'z' before ${op}`,
      ])
    }
    expect(gradientOf(network(['N', 5]), {}, 'nll').notes).to.deep.equal([
      "nll takes 'z' as log-probabilities; for logits use cross-entropy",
    ])
  })

  it('of a yes or no is doubted by a loss over classes', () => {
    const { notes } = gradientOf(network(['N', 5], [node('Sigmoid', ['z'], 'p')], 'p'))
    expect(notes).to.have.length(1)
    expect(notes[0]).to.match(/'p' comes out of a Sigmoid.*bce-with-logits/)
  })
})

describe('positions that were flattened into the batch', () => {
  const flatten = node('Reshape', ['z', 'rows'], 'y')
  const behind = [flatten, node('Gemm', ['y', 'm'], 'h'), node('Add', ['h', 'b'], 'o')]

  it('are found again where the graph shows them', () => {
    expect(labelsOf(['N', 'T', 5], {}, [flatten], 'y')).to.deep.equal(['N', 'T'])
    expect(labelsOf(['N', 3, 5], {}, [flatten], 'y')).to.deep.equal(['N', 3])
    expect(labelsOf(['N', 'H', 'W', 5], {}, [flatten], 'y')).to.deep.equal(['N', 'H', 'W'])
  })

  it('are found behind layers that treat each row alike', () => {
    expect(labelsOf(['N', 'T', 5], {}, behind, 'o')).to.deep.equal(['N', 'T'])
    const softmax = [...behind, node('Softmax', ['o'], 'p')]
    expect(labelsOf(['N', 'T', 5], {}, softmax, 'p')).to.deep.equal(['N', 'T'])
  })

  it('make no difference to the loss and its gradient', async () => {
    const labels = { dtype: 'int64', shape: [2, 3], values: [0, 4, -100, 2, 2, 1] } as const
    const values = Array.from({ length: 30 }, (_, i) => Math.sin(i))
    const feeds: Feeds = {
      x: { dtype: 'float32', shape: [2, 3, 5], values },
      scale: { dtype: 'float32', shape: [], values: [2] },
      target: labels,
      sample_weight: { dtype: 'float32', shape: [2], values: [1, 1] },
    }
    const layer = [node('MatMul', ['z', 'm'], 'h'), node('Add', ['h', 'b'], 'o')]
    const whole = gradientOf(network(['N', 'T', 5], layer, 'o'))
    const expected = await runOnce(whole.graph, feeds)
    for (const shape of [
      ['N', 'T', 5],
      ['N', 3, 5],
    ]) {
      const results = await runOnce(gradientOf(network(shape, behind, 'o')).graph, feeds)
      for (const [name, { values: wanted }] of Object.entries(expected))
        results[name]!.values.forEach((value, i) => {
          expect(value, name).to.be.closeTo(wanted[i]!, 1e-6)
        })
    }
  })

  it('are refused where another axis came first', () => {
    const swapped = [node('Transpose', ['z'], 't', { perm: [1, 0, 2] }), node('Reshape', ['t', 'rows'], 'y')]
    expect(() => labelsOf(['N', 'T', 5], {}, swapped, 'y')).to.throw(
      UnsupportedModelError,
      /one row for each sample, but 'y' is N\*T x 5 where the batch is N/,
    )
  })
})

describe('losses for WebGPU', () => {
  it('hold no operator that it lacks, and no int64 arithmetic', () => {
    const lacking = ['LogSoftmax', 'OneHot', 'Sign', 'GatherElements', 'ScatterElements', 'Sum']
    const { graph } = differentiate(network(['N', 'T', 5], [node('LogSoftmax', ['z'], 'p')], 'p'), {
      parameters: ['scale'],
      loss: parseLoss('cross-entropy', { labelSmoothing: 0.1, classWeights: [1, 2, 3, 4, 5] }),
      forms: 'webgpu',
    })
    expect(graph.nodes.map(({ op }) => op)).to.satisfy((ops: string[]) =>
      ops.every((op) => !lacking.includes(op)),
    )
    const reading = graph.nodes.filter(({ inputs }) => inputs.includes('target')).map(({ op }) => op)
    expect(reading).to.deep.equal(['Cast'])
  })
})
