import { expect } from 'chai'
import type { GradientGraph } from '../../src/autodiff/differentiate.js'
import type { GradientCheck } from '../support/check-gradient.js'
import { readNodeTests } from '../support/node-tests.js'
import { finiteAt } from '../support/node-tests-forward.js'
import { problemOf } from '../support/node-tests-graph.js'
import { Terrain } from '../support/node-tests-judge.js'
import type { Verdict } from '../support/node-tests-judge.js'
import { lossGraph, realLeaves } from '../support/node-tests-loss.js'
import { gradientOf } from '../support/node-tests-truth.js'
import { numbersOf } from '../support/node-tests-types.js'
import { Loaded, withInputs } from '../support/ort.js'

const { cases } = readNodeTests()

/** A case of ONNX's tests as a loss in float64, each input replaced by what `move` makes of it. */
async function checkOf(name: string, move = (values: number[]): number[] => values): Promise<GradientCheck> {
  const problem = problemOf(
    cases.find((test) => test.name === name)!,
    'float64',
  )
  const point = new Map(realLeaves(problem).map((leaf) => [leaf.name, move(numbersOf(leaf.tensor))]))
  return lossGraph(problem, point, await finiteAt(problem, point), 'all')
}

async function verdictOn(check: GradientCheck, gradient: GradientGraph): Promise<Verdict> {
  const forward = await Loaded.load(withInputs(check.graph, Object.keys(check.parameters)))
  try {
    return await new Terrain(check, forward, 'float64').judge(gradient, new Set())
  } finally {
    await forward.close()
  }
}

/** The gradient with every operator of a kind replaced by another. */
function altered(gradient: GradientGraph, from: string, to: string): GradientGraph {
  const nodes = gradient.graph.nodes.map((node) => (node.op === from ? { ...node, op: to } : node))
  return { ...gradient, graph: { ...gradient.graph, nodes } }
}

describe('judging a gradient of one of the node tests', () => {
  it('agrees with the right one', async () => {
    const check = await checkOf('sub')
    expect((await verdictOn(check, gradientOf(check))).kind).to.equal('agrees')
  })

  it('differs from one of the wrong sign', async () => {
    const check = await checkOf('sub')
    const verdict = await verdictOn(check, altered(gradientOf(check), 'Neg', 'Identity'))
    expect(verdict.kind === 'differs' && verdict.message).to.match(
      /^along y the gradient gives .* differences in float64 give/,
    )
  })

  it('says nothing within a step of a kink', async () => {
    const check = await checkOf('relu', (values) => values.map(() => 3e-5))
    expect((await verdictOn(check, gradientOf(check))).kind).to.equal('rough')
  })

  it('says nothing where the forward pass fails a step away', async () => {
    const check = await checkOf('sqrt', (values) => values.map(() => 0))
    expect((await verdictOn(check, gradientOf(check))).kind).to.equal('rough')
  })
})
