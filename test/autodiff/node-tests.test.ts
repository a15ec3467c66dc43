import { expect } from 'chai'
import { NEWEST_OPSET, OLDEST_OPSET } from '../../src/onnx/read.js'
import { readNodeTests } from '../support/node-tests.js'
import type { NodeTest } from '../support/node-tests.js'
import { examine } from '../support/node-tests-check.js'
import type { Outcome } from '../support/node-tests-check.js'
import { declaredOpset } from '../support/node-tests-graph.js'
import { EXCLUDED, MUST_BE_KNOWN, SHORTCOMINGS } from '../support/node-tests-known.js'

type Of<K extends Outcome['kind']> = readonly (readonly [
  name: string,
  outcome: Extract<Outcome, { kind: K }>,
])[]

/** The smallest share of the cases with a derivative in which it must be right. */
const SHARE = 0.97

describe("ONNX's own tests of single operators", function () {
  this.timeout(600_000)
  const outcomes: (readonly [name: string, outcome: Outcome])[] = []
  const of = <K extends Outcome['kind']>(...kinds: readonly K[]): Of<K> =>
    outcomes.filter(([, { kind }]) => (kinds as readonly string[]).includes(kind)) as unknown as Of<K>

  before(async () => {
    const { cases, leftOut } = readNodeTests()
    for (const test of cases) outcomes.push([test.name, await examine(test)])
    process.stdout.write(summary(outcomes, leftOut.length, redeclared(cases, of('passed'))))
  })

  it('can be tests of a derivative unless counted', () => {
    const found = counted(of('excluded').map(([, { why }]) => why))
    expect(found).to.deep.equal(EXCLUDED)
  })

  it(`have the derivative that differences give in at least ${100 * SHARE} % of the cases that have one`, () => {
    const [passed, others] = [of('passed').length, of('refused', 'failed').length]
    expect(passed / (passed + others)).to.be.at.least(SHARE)
  })

  it('have it in all cases but those that are listed with a reason', () => {
    const others = Object.fromEntries(of('refused', 'failed').map(([name, { reason }]) => [name, reason]))
    const unlisted = Object.entries(others).filter(([name]) => !(name in SHORTCOMINGS))
    expect(unlisted).to.deep.equal([])
    expect(Object.keys(SHORTCOMINGS).filter((name) => !(name in others))).to.deep.equal([])
  })

  it('have the same one where only ranks are known and integers come as data, unless something must be known', () => {
    const others = of('passed').flatMap(([name, { withRanksOnly }]) =>
      withRanksOnly === undefined ? [] : [{ name, ...withRanksOnly }],
    )
    const wrong = others.filter(
      ({ kind, reason }) => kind === 'failed' || !MUST_BE_KNOWN.some((part) => reason.includes(part)),
    )
    expect(wrong).to.deep.equal([])
    expect(MUST_BE_KNOWN.filter((part) => !others.some(({ reason }) => reason.includes(part)))).to.deep.equal(
      [],
    )
  })
})

function counted(values: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const value of values) counts[value] = (counts[value] ?? 0) + 1
  return counts
}

/** The counts by what became of the cases. */
function summary(
  outcomes: readonly (readonly [name: string, outcome: Outcome])[],
  leftOut: number,
  redeclared: number,
): string {
  const labels = outcomes.flatMap(([, outcome]) => labelsOf(outcome))
  const counts = {
    'too large to be kept': leftOut,
    'of which declared to be of an opset that is read here': redeclared,
    ...counted(labels),
  }
  const lines = Object.entries(counts).map(
    ([label, count]) => `      ${String(count).padStart(5)} ${label}\n`,
  )
  return lines.sort((a, b) => a.slice(12).localeCompare(b.slice(12))).join('')
}

/** How many of the passed cases are written in an opset older or newer than those that are read. */
function redeclared(cases: readonly NodeTest[], passed: Of<'passed'>): number {
  const names = new Set(passed.map(([name]) => name))
  return cases.filter((test) => {
    const opset = declaredOpset(test) ?? OLDEST_OPSET
    return names.has(test.name) && (opset < OLDEST_OPSET || opset > NEWEST_OPSET)
  }).length
}

function labelsOf(outcome: Outcome): string[] {
  if (outcome.kind === 'excluded') return [`left aside: ${outcome.why}`]
  if (outcome.kind !== 'passed') return [outcome.kind]
  const { state, width, refusedInputs, withRanksOnly } = outcome
  return [
    `right, ${state === 'zero' ? 'derivative zero' : state === 'rule' ? 'by rules' : 'rewritten first'}`,
    `of which checked in ${width}`,
    ...(refusedInputs.length > 0 ? ['of which some inputs are refused as parameters'] : []),
    `of which with ranks only ${withRanksOnly === undefined ? 'the same' : withRanksOnly.kind}`,
  ]
}
