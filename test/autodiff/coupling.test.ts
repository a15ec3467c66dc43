import { expect } from 'chai'
import { coupledBy, hasBatchNorm } from '../../src/autodiff/coupling.js'
import type { Settings } from '../../src/autodiff/rule.js'
import type { Graph, Node } from '../../src/onnx/graph.js'
import { graphAttribute } from '../../src/onnx/subgraph.js'
import { graphOf, input, node } from '../support/graphs.js'

const IMAGES = input('x', ['batch', 3, 8, 8])
const RUNNING: Settings = { batchNorm: 'running', forms: 'cpu' }
const BATCH: Settings = { batchNorm: 'batch', forms: 'cpu' }
const NORM = node('BatchNormalization', ['x', 's', 'b', 'm', 'v'], 'n')

function graph(...nodes: Node[]): Graph {
  return graphOf({ inputs: [IMAGES], outputs: ['y'], nodes })
}

describe('whether samples of a micro-batch meet before the loss', () => {
  it('they do in BatchNormalization on the statistics of the micro-batch, in either form of the file', () => {
    const training = node('BatchNormalization', ['x', 's', 'b', 'm', 'v'], ['n', 'm2', 'v2'], {
      training_mode: 1,
    })
    for (const norm of [NORM, training]) {
      const network = graph(norm, node('Relu', ['n'], 'y'))
      expect(coupledBy(network, 'y', BATCH)).to.equal('BatchNormalization')
      expect(coupledBy(network, 'y', RUNNING)).to.equal(undefined)
      expect(hasBatchNorm(network)).to.equal(true)
    }
  })

  it('not in a BatchNormalization that the loss does not depend on', () => {
    const network = graph(NORM, node('Relu', ['x'], 'y'))
    expect(coupledBy(network, 'y', BATCH)).to.equal(undefined)
    expect(coupledBy(network, 'n', BATCH)).to.equal('BatchNormalization')
  })

  it('in the body of a node, and in what it captures', () => {
    const relu = graphOf({ inputs: [], outputs: ['inner'], nodes: [node('Relu', ['n'], 'inner')] })
    const inside = graphOf({
      inputs: [],
      outputs: ['inner'],
      nodes: [{ ...NORM, outputs: ['inner'] }],
    })
    const branching = (then: Graph): Node => ({
      ...node('If', ['condition'], 'y'),
      attributes: new Map([
        ['then_branch', graphAttribute('then_branch', then)],
        ['else_branch', graphAttribute('else_branch', relu)],
      ]),
    })
    const same = node('Identity', ['x'], 'n')
    expect(coupledBy(graph(NORM, branching(relu)), 'y', BATCH)).to.equal('BatchNormalization')
    expect(coupledBy(graph(same, branching(inside)), 'y', BATCH)).to.equal('BatchNormalization')
    expect(hasBatchNorm(graph(same, branching(inside)))).to.equal(true)
    expect(coupledBy(graph(same, branching(relu)), 'y', BATCH)).to.equal(undefined)
  })

  it('in MeanVarianceNormalization over the batch axis, whatever BatchNorm does', () => {
    const over = (axes?: number[]): Graph =>
      graph(node('MeanVarianceNormalization', ['x'], 'y', axes === undefined ? {} : { axes }))
    expect(coupledBy(over(), 'y', RUNNING)).to.equal('MeanVarianceNormalization')
    expect(coupledBy(over([0, 1]), 'y', RUNNING)).to.equal('MeanVarianceNormalization')
    expect(coupledBy(over([2, 3]), 'y', BATCH)).to.equal(undefined)
  })

  it('not in an operator of that name of another set', () => {
    const network = graph({ ...NORM, domain: 'com.example' }, node('Relu', ['n'], 'y'))
    expect(coupledBy(network, 'y', BATCH)).to.equal(undefined)
    expect(hasBatchNorm(network)).to.equal(false)
  })
})
