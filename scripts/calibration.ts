/**
 * Holds the tests and intervals of analysis/statistics/blocks.ts against series without effect:
 *
 *     node dist/scripts/calibration.js [SERIES]
 *
 * prints, for kinds of noise of several lengths, how often a test rejects at 5 %, 1 % and 0.1 %, and how often the 95 %
 * interval of the sum covers zero. docs/findings.md has the figures.
 */
import { BlockBootstrap, tendencyTest } from '../src/analysis/statistics/blocks.js'
import { Random } from '../src/random.js'

const LENGTHS = [20, 60, 220, 2000]
/** How much of a deviation is kept in the next interval. */
const MEMORIES = [-0.6, 0, 0.5, 0.8, 0.9]
/** Intervals that come before the series begins. */
const BURN_IN = 60

interface Kind {
  readonly name: string
  readonly draw: () => number
  /** Size of the noise at a share of the run. */
  readonly size: (share: number) => number
}

const random = Random.ofSeed(1)
const uniform = (): number => (random.next() + 0.5) / 2 ** 32
const normal = (): number => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform())
const heavy = (): number => normal() / Math.sqrt((normal() ** 2 + normal() ** 2 + normal() ** 2) / 3)

const KINDS: readonly Kind[] = [
  { name: 'normal', draw: normal, size: () => 1 },
  { name: "Student's t, 3", draw: heavy, size: () => 1 },
  { name: 'shrinking 150-fold', draw: normal, size: (share) => Math.exp(-5 * share) },
]

function makeSeries({ draw, size }: Kind, length: number, memory: number): Float64Array {
  const series = new Float64Array(length)
  let last = 0
  for (let t = -BURN_IN; t < length; t += 1) {
    last = memory * last + draw()
    if (t >= 0) series[t] = last * size(t / length)
  }
  return series
}

function measure(kind: Kind, length: number, memory: number, count: number): string[] {
  const bootstrap = new BlockBootstrap()
  const rejected = [0, 0, 0]
  let covered = 0
  for (let i = 0; i < count; i += 1) {
    const series = makeSeries(kind, length, memory)
    const p = tendencyTest(series)
    ;[0.05, 0.01, 0.001].forEach((level, place) => (rejected[place]! += Number(p < level)))
    const { low, high } = bootstrap.sum(series)
    covered += Number(low <= 0 && high >= 0)
  }
  return [...rejected.map((number) => percent(number / count, 2)), percent(covered / count, 1)]
}

function percent(share: number, digits: number): string {
  return `${(100 * share).toFixed(digits)} %`
}

const count = Number(process.argv[2] ?? 2000)
console.log(
  '| intervals | kept | noise | at 5 % | at 1 % | at 0.1 % | covered |\n|---|---|---|---|---|---|---|',
)
for (const length of LENGTHS)
  for (const memory of MEMORIES)
    for (const kind of KINDS)
      console.log(`| ${[length, memory, kind.name, ...measure(kind, length, memory, count)].join(' | ')} |`)
