import { NUMERATORS } from '../../src/autodiff/differentiate.js'
import { TREATMENTS } from '../../src/autodiff/rules/table.js'
import { RetrogradError, reasonOf } from '../../src/errors.js'
import { dtypeOf } from '../../src/onnx/dtypes.js'
import type { Graph, Node } from '../../src/onnx/graph.js'
import { subgraphNames, subgraphOf } from '../../src/onnx/subgraph.js'
import { RULE_OPSET } from '../../src/onnx/lift.js'
import { NEWEST_OPSET } from '../../src/onnx/read.js'
import type { DType } from '../../src/tensor.js'
import { gradientFeeds } from './check-gradient.js'
import type { GradientCheck } from './check-gradient.js'
import type { NodeTest } from './node-tests.js'
import { Excluded, forwardAsExpected } from './node-tests-forward.js'
import type { Exclusion, Finite } from './node-tests-forward.js'
import { OutsideError, problemOf } from './node-tests-graph.js'
import type { Problem } from './node-tests-graph.js'
import { lossGraph, realLeaves } from './node-tests-loss.js'
import type { Point } from './node-tests-loss.js'
import { gradientOf, isZero, truthOf } from './node-tests-truth.js'
import type { Truth } from './node-tests-truth.js'
import { isReal, numbersOf } from './node-tests-types.js'
import { runOnce } from './ort.js'

/** How a case's operators are differentiated, as far as its numbers tell. */
export type State = 'rule' | 'rewritten' | 'zero'

export type Outcome =
  | { readonly kind: 'excluded'; readonly why: Exclusion; readonly detail: string }
  | { readonly kind: 'refused' | 'failed'; readonly reason: string }
  | {
      readonly kind: 'passed'
      readonly state: State
      readonly width: Truth['width']
      /** Inputs that can't be parameters, each with the reason. */
      readonly refusedInputs: readonly string[]
      /** Why the same gradient was not found where only ranks are known; undefined where it was. */
      readonly withRanksOnly: Exclude<Outcome, { kind: 'passed' | 'excluded' }> | undefined
    }

/** Differentiates the model of a case and holds the gradient against differences of ONNX Runtime's forward pass. */
export async function examine(test: NodeTest): Promise<Outcome> {
  try {
    return await examined(test)
  } catch (error) {
    if (error instanceof Excluded) return { kind: 'excluded', why: error.why, detail: error.message }
    return shortcoming(error)
  }
}

function shortcoming(error: unknown): Exclude<Outcome, { kind: 'passed' | 'excluded' }> {
  return { kind: error instanceof RetrogradError ? 'refused' : 'failed', reason: reasonOf(error) }
}

async function examined(test: NodeTest): Promise<Outcome> {
  try {
    return await examinedIn(test, NEWEST_OPSET)
  } catch (error) {
    // ONNX Runtime lacks kernels of new versions of operators that it has in older ones
    const known = error instanceof Excluded && error.message.includes('Could not find an implementation')
    if (!known) throw error
    return await examinedIn(test, RULE_OPSET).catch((second: unknown) => {
      throw second instanceof Excluded ? error : second
    })
  }
}

async function examinedIn(test: NodeTest, newest: number): Promise<Outcome> {
  const own = ownProblem(test, newest)
  const given: Point = new Map(realLeaves(own).map(({ name, tensor }) => [name, numbersOf(tensor)]))
  if (given.size === 0) throw new Excluded('no real input')
  if (!own.results.some(({ expected }) => isReal(expected.code))) throw new Excluded('no real output')
  const finite = await forwardAsExpected(own, given, test)
  const { kept, refusedInputs } = differentiable(own, given, finite)
  const truth = await truthOf(test, own, kept, finite)
  const types = typesOf(own)
  await compare(lossGraph(own, truth.point, truth.finite, 'all'), truth, types)
  const withRanksOnly = await compare(lossGraph(own, truth.point, truth.finite, 'ranks'), truth, types).then(
    () => undefined,
    shortcoming,
  )
  return { kind: 'passed', state: stateOf(own, truth), width: truth.width, refusedInputs, withRanksOnly }
}

function ownProblem(test: NodeTest, newest: number): Problem {
  try {
    return problemOf(test, 'own', newest)
  } catch (error) {
    if (error instanceof OutsideError || error instanceof RetrogradError)
      throw new Excluded('outside of ai.onnx, opset 11 to 26', error.message)
    throw error
  }
}

/** The real inputs that the operator can be differentiated with respect to: all, or those that are not refused. */
function differentiable(
  problem: Problem,
  given: Point,
  finite: Finite,
): { readonly kept: Point; readonly refusedInputs: readonly string[] } {
  const refusalOf = (point: Point): RetrogradError | undefined => {
    try {
      gradientOf(lossGraph(problem, point, finite, 'all'))
      return undefined
    } catch (error) {
      if (error instanceof RetrogradError) return error
      throw error
    }
  }
  const refusal = refusalOf(given)
  if (refusal === undefined) return { kept: given, refusedInputs: [] }
  const alone = [...given].map(([name, values]) => ({
    name,
    values,
    why: refusalOf(new Map([[name, values]])),
  }))
  const kept = new Map(alone.flatMap(({ name, values, why }) => (why ? [] : [[name, values] as const])))
  const left = kept.size === 0 ? refusal : refusalOf(kept)
  if (left !== undefined) throw left
  return { kept, refusedInputs: alone.flatMap(({ name, why }) => (why ? [`${name}: ${why.message}`] : [])) }
}

/** Largest error of a gradient in a type, relative to its largest element. */
const ERROR: Readonly<Partial<Record<DType, number>>> = {
  float64: 1e-6,
  float32: 2e-3,
  float16: 0.05,
  bfloat16: 0.2,
}

function typesOf({ leaves, results }: Problem): ReadonlySet<DType> {
  const tensors = [...leaves.map(({ tensor }) => tensor), ...results.map(({ expected }) => expected)]
  return new Set(tensors.filter(({ code }) => isReal(code)).map(({ code }) => dtypeOf(code)!))
}

/**
 * Differentiates in the model's own types and compares with the gradient that differences confirmed, and the loss, which
 * rewritten operators compute in their own way, with that of the model as it is.
 */
async function compare(check: GradientCheck, truth: Truth, types: ReadonlySet<DType>): Promise<void> {
  const built = gradientOf(check)
  const found = await runOnce(built.graph, gradientFeeds(built, check))
  const error = Math.max(...[...types, truth.width].map((dtype) => ERROR[dtype]!))
  const where = `in its own types (${[...types].join()})`
  const loss = found[NUMERATORS]!.values.reduce((sum, value) => sum + value, 0)
  if (!(Math.abs(loss - truth.loss.value) <= error * truth.loss.size))
    throw new Error(`${where} the loss is ${loss}, in ${truth.width} ${truth.loss.value}`)
  const all = Object.values(truth.gradient).flat()
  const largest = all.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-2)
  for (const [name, wanted] of Object.entries(truth.gradient)) {
    const output = ['', '/full', '/flat'].flatMap((end) => built.gradients.get(`${name}${end}`) ?? [])[0]
    const values = output === undefined ? wanted.map(() => 0) : found[output]!.values
    const wrong = values.findIndex((value, i) => !(Math.abs(value - wanted[i]!) <= error * largest))
    if (wrong >= 0)
      throw new Error(
        `${where} the gradient of '${name}' has ${values[wrong]} at ${wrong}, in ${truth.width} ${wanted[wrong]}`,
      )
  }
}

function stateOf({ graph }: Problem, truth: Truth): State {
  if (isZero(truth)) return 'zero'
  return nodesOf(graph).some(({ op }) => TREATMENTS.get(op)?.state === 'rewritten') ? 'rewritten' : 'rule'
}

/** The nodes of a graph and of all graphs inside it. */
function nodesOf(graph: Graph): Node[] {
  return graph.nodes.flatMap((one) => [
    one,
    ...subgraphNames(one).flatMap((name) => nodesOf(subgraphOf(graph, one, name))),
  ])
}
