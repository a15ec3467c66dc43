import { expect } from 'chai'
import { deviceGraph } from '../../src/autodiff/device-graph.js'
import { differentiate } from '../../src/autodiff/differentiate.js'
import type { GradientGraph } from '../../src/autodiff/differentiate.js'
import { UnsupportedOperatorError } from '../../src/errors.js'
import { intAttribute } from '../../src/onnx/attributes.js'
import { GraphBuilder } from '../../src/onnx/builder.js'
import type { Graph, Node } from '../../src/onnx/graph.js'
import { staticShape } from '../../src/onnx/shapes/dims.js'
import { subgraphNames } from '../../src/onnx/subgraph.js'
import { OPERATOR_CASES } from '../support/cases/index.js'
import { gradientFeeds } from '../support/check-gradient.js'
import type { GradientCheck } from '../support/check-gradient.js'
import { gradientCheckOf } from '../support/operator-case.js'
import type { OperatorCase } from '../support/operator-case.js'
import { runOnce } from '../support/ort.js'
import type { Feed, Feeds } from '../support/ort.js'

/** What ONNX Runtime's WebGPU provider can't run or hands back to the CPU: asked of it, operator by operator. */
const NOT_RUN = new Set(['LogSoftmax', 'Sign', 'OneHot', 'Sum', 'Mean', 'Or', 'Softsign', 'Celu', 'Selu'])

const ARITHMETIC = new Set(
  'Add Sub Mul Div Mod Neg Abs Max Min Pow Equal Greater GreaterOrEqual Less LessOrEqual'.split(' '),
)

/** Of sizes that are known, a slice backwards that does not begin at the last element: the provider begins there. */
function beginsElsewhere(node: Node, builder: GraphBuilder): boolean {
  const shape = staticShape(builder.shapeOf(node.inputs[0]!))
  const [starts, axes, steps] = [1, 3, 4].map((input) => builder.constantsOf(node.inputs[input] ?? ''))
  if (shape === undefined || steps === undefined) return false
  const isLast = (start: number, i: number): boolean => start === -1 || start >= shape.at(axes?.[i] ?? i)! - 1
  return steps.some((step, i) => step < 0 && !(starts !== undefined && isLast(starts[i]!, i)))
}

function isRefused(node: Node, builder: GraphBuilder): boolean {
  if (node.op === 'Slice') return beginsElsewhere(node, builder)
  if (node.op === 'MaxPool') return (node.outputs[1] ?? '') !== ''
  if (node.op === 'BatchNormalization') return intAttribute(node, 'training_mode', 0) === 1
  const isInt64 = node.inputs.some((value) => builder.info(value).dtype === 'int64')
  return NOT_RUN.has(node.op) || (ARITHMETIC.has(node.op) && isInt64)
}

/** Operators of a graph and of the graphs inside that the provider does not run. */
function refused(graph: Graph, outer?: GraphBuilder): string[] {
  const builder = new GraphBuilder(graph, outer, false)
  return graph.nodes.flatMap((node) => [
    ...(isRefused(node, builder) ? [node.op] : []),
    ...subgraphNames(node).flatMap((name) => refused(builder.body(node, name), builder)),
  ])
}

function gradientOf(check: GradientCheck, forms: 'cpu' | 'webgpu'): GradientGraph {
  const parameters = Object.keys(check.parameters)
  return differentiate(check.graph, {
    parameters,
    loss: { kind: 'output', name: check.loss },
    forms,
    ...(check.batchNorm && { batchNorm: check.batchNorm }),
  })
}

function expectClose(actual: Feed, expected: Feed, name: string): void {
  expect(actual.shape, name).to.deep.equal(expected.shape)
  const scale = Math.max(1, ...expected.values.map(Math.abs))
  const worst = Math.max(0, ...expected.values.map((value, i) => Math.abs(value - actual.values[i]!)))
  expect(worst / scale, name).to.be.at.most(1e-5)
}

/** The graph for the sizes of what it is fed, and what it is fed then. */
function sizedFor(graph: Graph, feeds: Feeds): { readonly graph: Graph; readonly feeds: Feeds } {
  const sized = deviceGraph(graph, new Map(Object.entries(feeds).map(([name, { shape }]) => [name, shape])))
  const typed = sized.inputs.map(({ name, dtype }): [string, Feed] => [
    name,
    { ...feeds[name]!, dtype: dtype! },
  ])
  return { graph: sized, feeds: Object.fromEntries(typed) }
}

/** Its form for WebGPU is a convolution, which the CPU provider that is compared with has in float32 alone. */
const FLOAT32_ONLY = new Set(['MaxPool'])

/** Padding by a rule whose result is known at run time only: no attribute of a convolution can hold it. */
const NEEDS_SIZES = /^MaxPool of symbolic image size with auto_pad/

/** The provider has no transposed convolution of three image axes, which their gradients are. */
const THREE_AXES = /^(Conv|ConvTranspose|MaxPool|AveragePool|LpPool) in three dimensions/

/** Whether they go backwards, or from where, shows at run time only. */
const UNKNOWN_BACKWARDS = /^Slice (backwards with bounds|with everything) known at run time/

/** The provider gives wrong numbers. */
const WRONG = /^(Pad .*mode wrap|Resize of channels last, linear)/

/** Refused cases by what the error's message ends with. */
const REFUSED: readonly (readonly [RegExp, RegExp])[] = [
  [NEEDS_SIZES, /needs the input's size/],
  [THREE_AXES, /image axes only; use --device cpu$/],
  [WRONG, /wrongly; use --device cpu$/],
  [UNKNOWN_BACKWARDS, /from and to places that are known beforehand; use --device cpu$/],
]

/** All cases of each operator. */
function casesByOperator(): Map<string, OperatorCase[]> {
  const cases = new Map<string, OperatorCase[]>()
  for (const one of OPERATOR_CASES) cases.set(one.op, [...(cases.get(one.op) ?? []), one])
  return cases
}

describe('a gradient graph for WebGPU computes the same numbers without what that provider lacks', () => {
  for (const [op, cases] of casesByOperator())
    it(`${op} (${cases.length} cases)`, async () => {
      for (const one of cases) {
        const check = await gradientCheckOf(FLOAT32_ONLY.has(op) ? { ...one, dtype: 'float32' } : one)
        const refusal = REFUSED.find(([which]) => which.test(`${op} ${one.title}`))
        if (refusal !== undefined) {
          expect(() => gradientOf(check, 'webgpu')).to.throw(UnsupportedOperatorError, refusal[1])
          continue
        }
        const [usual, adapted] = [gradientOf(check, 'cpu'), gradientOf(check, 'webgpu')]
        expect(refused(adapted.graph), one.title).to.deep.equal([])
        const feeds = gradientFeeds(adapted, check)
        const results = await runOnce(adapted.graph, feeds)
        const sized = sizedFor(adapted.graph, feeds)
        expect(refused(sized.graph), `${one.title}, sizes known`).to.deep.equal([])
        const resultsOfSized = await runOnce(sized.graph, sized.feeds)
        for (const [name, expected] of Object.entries(
          await runOnce(usual.graph, gradientFeeds(usual, check)),
        )) {
          expectClose(results[name]!, expected, `${one.title}: ${name}`)
          expectClose(resultsOfSized[name]!, expected, `${one.title}, sizes known: ${name}`)
        }
      }
    })
})
