/**
 * What docs/quadrature.md says in numbers: the rules on projections of real runs.
 *
 *     npm run build && node dist/scripts/quadrature/figures.js FILE.json ... [--splits train,val]
 *
 * FILE.json are what scripts/quadrature/projections.py writes. Prints Markdown.
 */
import { basename } from 'node:path'
import { parseArgs } from 'node:util'
import { RULES } from '../../src/replay/quadrature/rules.js'
import type { QuadratureName } from '../../src/replay/quadrature/names.js'
import { intervalOf, intervalsOf, readProjections } from '../../test/replay/projections.js'
import type { Projections } from '../../test/replay/projections.js'
import { integrateScalars } from '../../test/replay/scalar-integration.js'
import type { ScalarIntegral } from '../../test/replay/scalar-integration.js'

const TOLERANCES = [1e-2, 1e-3, 1e-4, 1e-5]

/** Exact LCA is known well enough to judge an interval by where its own sum is this much nearer than the tolerance. */
const TRUSTED = 1 / 5

interface Outcome extends ScalarIntegral {
  /** True errors, estimates beside them, in one list over splits and tensors. */
  readonly errors: readonly { readonly error: number; readonly estimate: number }[]
  readonly trusted: boolean
}

async function integrateAll(
  name: QuadratureName,
  projections: Projections,
  splits: readonly string[],
  limits: { readonly tolerance: number; readonly maxSplits: number },
): Promise<Outcome[]> {
  const intervals = Array.from({ length: intervalsOf(projections) }, (_, t) => t)
  return Promise.all(
    intervals.map(async (t) => {
      const integral = await integrateScalars(RULES[name], intervalOf(projections, t, splits), limits)
      const of = splits.map((split) => projections.splits[split]!)
      const errors = of.flatMap(({ exact }, split) =>
        exact[t]!.map((value, tensor) => ({
          error: Math.abs(integral.lca[split]![tensor]! - value),
          estimate: integral.estimates[split]![tensor]!,
        })),
      )
      const doubt = Math.max(...of.map((split) => split.doubt[t]!))
      return { ...integral, errors, trusted: doubt <= TRUSTED * limits.tolerance }
    }),
  )
}

async function autoRow(path: string, splits: readonly string[], tolerance: number): Promise<string> {
  const projections = readProjections(path)
  const parts = Object.values(projections.splits)[0]!.along[0]![0]!.length - 1
  const outcomes = await integrateAll('auto', projections, splits, { tolerance, maxSplits: parts })
  const judged = outcomes.filter(({ converged, trusted }) => converged && trusted)
  const errors = judged.flatMap((outcome) => outcome.errors)
  const worst = (of: readonly number[]): string => (of.length === 0 ? '-' : Math.max(...of).toExponential(1))
  const below = errors.filter(({ error, estimate }) => error > estimate).length
  const outside = judged.filter(({ errors: all }) => all.some(({ error }) => error > tolerance)).length
  const evaluations = 1 + outcomes.reduce((sum, { points }) => sum + 1 + points.length, 0)
  return row([
    basename(path, '.json'),
    tolerance.toExponential(0),
    `${judged.length} of ${outcomes.length}`,
    worst(errors.map(({ error }) => error)),
    worst(errors.map(({ estimate }) => estimate)),
    errors.length === 0 ? '-' : `${((100 * below) / errors.length).toFixed(1)} %`,
    String(outside),
    (evaluations / outcomes.length).toFixed(2),
  ])
}

/** Median and largest, over intervals, of the largest tensor's error; and of that error over what the formula says. */
async function ruleRow(path: string, name: QuadratureName, maxSplits: number): Promise<string> {
  const projections = readProjections(path)
  const outcomes = await integrateAll(name, projections, ['train', 'val'], { tolerance: 0, maxSplits })
  const largest = outcomes.map(({ errors }) => Math.max(...errors.map(({ error }) => error)))
  const ratios = outcomes.map(({ estimate }, t) => largest[t]! / estimate)
  const residuals = outcomes.map(({ error }, t) => largest[t]! / error)
  return row([
    basename(path, '.json'),
    `${name}, ${outcomes[0]!.splits}`,
    median(largest).toExponential(1),
    Math.max(...largest).toExponential(1),
    ...[ratios, residuals].flatMap((of) => [median(of).toPrecision(2), Math.max(...of).toPrecision(2)]),
  ])
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!
}

function row(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`
}

function heading(cells: readonly string[]): string {
  return `${row(cells)}\n|${'---|'.repeat(cells.length)}`
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { splits: { type: 'string', default: 'train,val' } },
})
console.log(
  heading([
    'run',
    'tolerance',
    'converged',
    'largest error',
    'largest estimate',
    'estimate too low',
    'intervals outside',
    'gradients',
  ]),
)
for (const path of positionals)
  for (const tolerance of TOLERANCES) console.log(await autoRow(path, values.splits.split(','), tolerance))
console.log(
  `\n${heading(['run', 'rule, splits', 'error', 'largest', 'over estimate', 'largest', 'over residual', 'largest'])}`,
)
for (const path of positionals)
  for (const [name, maxSplits] of [
    ['first-order', 1],
    ['trapezoid', 1],
    ['midpoint', 1],
    ['simpson', 2],
    ['simpson', 4],
    ['simpson', 8],
    ['boole', 4],
    ['boole', 8],
  ] as const)
    console.log(await ruleRow(path, name, maxSplits))
