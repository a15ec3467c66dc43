import { reasonOf } from '../../src/errors.js'
import { dtypeOf } from '../../src/onnx/dtypes.js'
import { tensorsOf } from './node-tests.js'
import type { NodeTest } from './node-tests.js'
import type { Problem, Result } from './node-tests-graph.js'
import { forwardGraph, isHalf } from './node-tests-loss.js'
import type { Point } from './node-tests-loss.js'
import { isReal, numbersOf } from './node-tests-types.js'
import { runOnce } from './ort.js'
import type { Feed } from './ort.js'

/** Why a case can't be a test of a derivative. */
export type Exclusion =
  | 'outside of ai.onnx, opset 11 to 26'
  | 'no real input'
  | 'no real output'
  | 'not run by ONNX Runtime'
  | 'run differently by ONNX Runtime'

export class Excluded extends Error {
  constructor(
    readonly why: Exclusion,
    detail = '',
  ) {
    super(detail)
  }
}

/** For every real result which of its elements are numbers. */
export type Finite = ReadonlyMap<string, readonly boolean[]>

/**
 * Runs the model on the inputs of the case and compares with the expected outputs.
 *
 * @throws Excluded where ONNX Runtime does not run it, or gives something else
 */
export async function forwardAsExpected(problem: Problem, given: Point, test: NodeTest): Promise<Finite> {
  const found = await forwardAt(problem, given).catch((error: unknown) => {
    throw new Excluded('not run by ONNX Runtime', reasonOf(error))
  })
  problem.results.forEach((result, i) => {
    const difference = dtypeOf(result.expected.code) && differenceOf(result, found[i]!, test)
    if (difference !== undefined) throw new Excluded('run differently by ONNX Runtime', difference)
  })
  return finiteOf(problem, found)
}

/** Which elements are numbers where the real inputs have other values, in the shapes that results have there. */
export async function finiteAt(problem: Problem, point: Point): Promise<Finite> {
  return finiteOf(problem, await forwardAt(problem, point))
}

/** Whether the case's numbers are kept in half precision, whatever they are computed in. */
function isRounded({ inputs, outputs }: NodeTest): boolean {
  return [...inputs, ...outputs].flatMap(tensorsOf).some(({ code }) => isHalf(dtypeOf(code)))
}

function finiteOf({ results }: Problem, found: readonly Feed[]): Finite {
  return new Map(
    results.flatMap(({ name, expected }, i): [string, boolean[]][] =>
      isReal(expected.code) ? [[name, found[i]!.values.map(Number.isFinite)]] : [],
    ),
  )
}

async function forwardAt(problem: Problem, point: Point): Promise<Feed[]> {
  const { graph, data } = forwardGraph(problem, point)
  const found = await runOnce(graph, data)
  return graph.outputs.map(({ name }) => found[name]!)
}

/** Largest errors by what numbers are kept in; an operator's own tolerance may be larger. */
const TOLERANCE = { half: 2e-2, full: 1e-4 }

function differenceOf({ name, expected }: Result, found: Feed, test: NodeTest): string | undefined {
  const { rtol, atol } = test
  const tolerance = isRounded(test) ? TOLERANCE.half : TOLERANCE.full

  if (found.shape.join() !== expected.shape.join())
    return `'${name}' has shape [${found.shape.join()}] in place of [${expected.shape.join()}]`
  const wanted = numbersOf(expected)
  const largest = wanted.reduce(
    (most, value) => Math.max(most, Number.isFinite(value) ? Math.abs(value) : 0),
    0,
  )
  const wrong = found.values.findIndex((value, i) => {
    const error = Math.abs(value - wanted[i]!)
    return (
      !Object.is(value, wanted[i]) && value !== wanted[i] && !(error <= atol + (rtol + tolerance) * largest)
    )
  })
  return wrong < 0 ? undefined : `'${name}' has ${found.values[wrong]} in place of ${wanted[wrong]}`
}
