import { differentiate } from '../../src/autodiff/differentiate.js'
import type { GradientGraph } from '../../src/autodiff/differentiate.js'
import { reasonOf } from '../../src/errors.js'
import { opsetOf } from '../../src/onnx/graph.js'
import type { Graph } from '../../src/onnx/graph.js'
import type { GradientCheck, Vectors } from './check-gradient.js'
import type { NodeTest } from './node-tests.js'
import { finiteAt, forwardAsExpected } from './node-tests-forward.js'
import type { Finite } from './node-tests-forward.js'
import { problemOf } from './node-tests-graph.js'
import type { Problem } from './node-tests-graph.js'
import { Terrain } from './node-tests-judge.js'
import type { Loss } from './node-tests-judge.js'
import { ANCHOR, lossGraph, realLeaves } from './node-tests-loss.js'
import type { Point } from './node-tests-loss.js'
import { ELSEWHERE, movedPoint, MOVES, NEAR } from './node-tests-points.js'
import type { Move } from './node-tests-points.js'
import { numbersOf } from './node-tests-types.js'
import type { Width } from './node-tests-types.js'
import { Loaded, withInputs } from './ort.js'

/** A point and the gradient there, which differences confirm. */
export interface Truth {
  readonly point: Point
  readonly finite: Finite
  readonly gradient: Vectors
  readonly loss: Loss
  readonly width: Width
}

/**
 * Differentiates a case in float64, or in float32 where ONNX Runtime does not run it so or computes it with fewer
 * digits, and finds a point near its inputs where differences say what the derivative is.
 *
 * @throws Error where the gradient is another, or no point tells
 */
export async function truthOf(test: NodeTest, own: Problem, given: Point, finite: Finite): Promise<Truth> {
  const searches: Search[] = []
  const failures: string[] = []
  for (const width of ['float64', 'float32'] as const) {
    const problem = problemOf(test, width, opsetOf(own.graph))
    const reason = await reasonAgainst(problem, given, test)
    if (reason === undefined) searches.push(new Search(own, problem, width))
    else failures.push(`${width}: ${reason}`)
  }
  const other = movedPoint(given, own, ELSEWHERE, test.name)
  const stages: readonly ((search: Search) => Promise<Truth | undefined>)[] = [
    (search) => search.near(given, finite, MOVES.slice(0, NEAR), 'stiff'),
    (search) => search.near(given, finite, MOVES.slice(NEAR), 'stiff'),
    (search) => search.near(given, finite, MOVES, 'rough'),
    async (search) => search.near(other, await finiteAt(own, other), MOVES, 'stiff'),
  ]
  for (const stage of stages)
    for (const search of searches) {
      const found = await stage(search)
      if (found !== undefined) return found
    }
  throw new Error(['no smooth point was found', ...failures].join('; '))
}

/**
 * Why a case is not to be judged in another type: ONNX Runtime does not run it there, or gives another result (where it
 * has no kernel for the type it takes the operator apart by a definition that may be an old one).
 */
async function reasonAgainst(problem: Problem, given: Point, test: NodeTest): Promise<string | undefined> {
  const all = new Map(realLeaves(problem).map(({ name, tensor }) => [name, numbersOf(tensor)]))
  return forwardAsExpected(problem, new Map([...all, ...given]), test).then(() => undefined, reasonOf)
}

/** The gradient graph of a check. BatchNormalization keeps the mode that the case has it in. */
export function gradientOf(check: GradientCheck): GradientGraph {
  return differentiate(check.graph, {
    parameters: Object.keys(check.parameters),
    loss: { kind: 'output', name: check.loss },
    batchNorm: isTraining(check.graph) ? 'batch' : 'running',
  })
}

function isTraining({ nodes }: Graph): boolean {
  return nodes.some(
    ({ op, attributes }) => op === 'BatchNormalization' && attributes.get('training_mode')?.i === 1n,
  )
}

class Search {
  constructor(
    private readonly own: Problem,
    private readonly problem: Problem,
    private readonly width: Width,
  ) {}

  /**
   * A truth near a point, by one of the moves.
   *
   * @param kept inputs that stay where they are: those at which the forward pass fails when they are moved alone, or
   *   those too along which it is not smooth
   */
  async near(
    given: Point,
    finite: Finite,
    moves: readonly Move[],
    kept: 'stiff' | 'rough',
  ): Promise<Truth | undefined> {
    const base = lossGraph(this.problem, given, finite, 'all')
    const variable = withInputs(base.graph, Object.keys(base.parameters))
    const forward = await Loaded.load(variable).catch(() => undefined)
    if (forward === undefined) return undefined
    try {
      const place: Place = { given, finite, base, forward, gradient: gradientOf(base) }
      const fixed = await this.without(place, async (check, name) => {
        if (!(await isRegular(check, forward))) return false
        return kept === 'stiff' || (await new Terrain(check, forward, this.width).slope([name])) !== undefined
      })
      return await this.withFixed(place, moves, fixed)
    } finally {
      await forward.close()
    }
  }

  /** Tries one move of the inputs after another, but for some that stay where they are. */
  private async withFixed(
    place: Place,
    moves: readonly Move[],
    fixed: ReadonlySet<string>,
  ): Promise<Truth | undefined> {
    const { given, finite, base, forward, gradient } = place
    if (fixed.size === given.size) return undefined
    for (const move of moves) {
      const point = movedPoint(given, this.own, move, `${this.problem.name} ${MOVES.indexOf(move)}`, fixed)
      const check = atPoint(base, point)
      if (!(await isRegular(check, forward))) continue
      const verdict = await new Terrain(check, forward, this.width).judge(gradient, fixed)
      if (verdict.kind === 'differs') throw new Error(verdict.message)
      if (verdict.kind === 'rough') continue
      const { gradient: confirmed, loss } = verdict
      return { point, finite, gradient: confirmed, loss, width: this.width }
    }
    return undefined
  }

  /**
   * The inputs for which something holds at none of their own moves: those whose numbers decide on shapes, or must be
   * what they are.
   */
  private async without(
    { given, base }: Place,
    holds: (check: GradientCheck, name: string) => Promise<boolean>,
  ): Promise<Set<string>> {
    const fixed = new Set<string>()
    for (const name of given.keys()) {
      const others = new Set([...given.keys()].filter((other) => other !== name))
      let once = false
      for (const [i, move] of MOVES.entries()) {
        const still = move.low === move.high
        const point = movedPoint(given, this.own, move, `alone ${i}`, others)
        once ||= !still && (await holds(atPoint(base, point), name))
      }
      if (!once) fixed.add(name)
    }
    return fixed
  }
}

/** What a search goes from. */
interface Place {
  readonly given: Point
  readonly finite: Finite
  readonly base: GradientCheck
  readonly forward: Loaded
  readonly gradient: GradientGraph
}

function atPoint(check: GradientCheck, point: Point): GradientCheck {
  const moved = [...point].map(([name, values]) => [name, { ...check.parameters[name]!, values }] as const)
  return { ...check, parameters: { ...check.parameters, ...Object.fromEntries(moved) } }
}

/** Whether the forward pass gives as many numbers as expected, all finite. */
async function isRegular(check: GradientCheck, forward: Loaded): Promise<boolean> {
  try {
    const { values } = (await forward.run({ ...check.data, ...check.parameters }))[check.loss]!
    return values.every(Number.isFinite)
  } catch {
    return false
  }
}

/** Whether no input of the case changes its loss. */
export function isZero({ gradient }: Truth): boolean {
  return Object.entries(gradient).every(
    ([name, values]) => name === ANCHOR || values.every((one) => one === 0),
  )
}
