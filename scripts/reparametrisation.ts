/**
 * What reparametrisation does to LCA and to other measures of importance: the recorded network of fixtures/mnist-lenet is
 * replayed as it is, and with the weights and biases of fc1 multiplied by c and the weights of fc2 by 1/c at every
 * checkpoint, which is the same function since a ReLU lies between them. Prints, as Markdown, by what each measure changes
 * (docs/reparametrisation.md):
 *
 *     node dist/scripts/reparametrisation.js [--by 4,10]
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import {
  largestDifference,
  MEASURED,
  ratiosOf,
  replayRecorded,
  replayScaled,
  WHOLE_RUN,
} from './reparametrisation/experiment.js'
import type { Replayed } from './reparametrisation/experiment.js'
import type { Scaling } from './reparametrisation/scaled-run.js'

const { values } = parseArgs({ options: { by: { type: 'string', default: '4,10' } } })
const factors = values.by.split(',').map(Number)
if (!factors.every((by) => by > 0 && Number.isFinite(by))) throw new Error('--by: numbers above 0 are needed')

const folder = mkdtempSync(join(tmpdir(), 'retrograd-'))
try {
  const recorded = await replayRecorded(folder, WHOLE_RUN)
  for (const by of factors) {
    const scaling = { up: 'fc1', down: 'fc2', by }
    const scaled = await replayScaled(folder, WHOLE_RUN, scaling)
    print(recorded, scaled, scaling)
  }
} finally {
  rmSync(folder, { recursive: true })
}

function print(recorded: Replayed, scaled: Replayed, scaling: Scaling): void {
  const { up, down, by } = scaling
  console.log(`### ${up} times ${by}, ${down}.weight times 1/${by}\n`)
  printRatios(recorded, scaled, scaling)
  const apart = largestDifference(recorded, scaled)
  console.log(
    `\nLCA of each of the ${recorded.lca.length.toLocaleString('en')} parameters over the run: ` +
      (apart === 0 ? 'the same bits.' : `within ${apart.toExponential(0)} of the largest.`),
  )
  const cosines = [recorded, scaled].map(({ cosine }) => cosine.toFixed(3)).join(' to ')
  console.log(`Cosine of movement and negative gradient, all parameters together, mean: ${cosines}.\n`)
  printCorrelations(recorded, scaled)
}

/** Measures of the scaled run over those of the recorded one. */
function printRatios(recorded: Replayed, scaled: Replayed, scaling: Scaling): void {
  const { up, down } = scaling
  const shown = [`${up}.weight`, `${up}.bias`, `${down}.weight`]
  row(['measure', 'multiplied by c, it', ...shown, 'all other tensors'])
  row(['---', '---', ...shown.map(() => '---:'), '---:'])
  for (const measured of MEASURED) {
    const ratios = ratiosOf(measured, recorded, scaled, scaling)
    const rest = ratios.filter(({ factor }) => factor === 1).map(({ ratio }) => ratio)
    row([
      measured.name,
      behaviour(measured.power),
      ...shown.map((name) => ratio(ratios.find(({ tensor }) => tensor === name)!.ratio)),
      range(rest),
    ])
  }
}

/** How each measure ranks what parameters and tensors did: Spearman's correlation with -LCA. */
function printCorrelations(recorded: Replayed, scaled: Replayed): void {
  row(['rank correlation with −LCA', 'tensors, recorded', 'scaled', 'parameters, recorded', 'scaled'])
  row(['---', '---:', '---:', '---:', '---:'])
  recorded.measures.forEach(({ measure, tensors, parameters }, i) => {
    const after = scaled.measures[i]!
    row([measure, ...[tensors, after.tensors, parameters, after.parameters].map(correlation)])
  })
  console.log()
}

function behaviour(power: number | null): string {
  if (power === null) return 'goes by 1 to 1/c², each parameter by its own'
  if (power === 0) return 'stays'
  return `goes by ${power < 0 ? '1/' : ''}c${Math.abs(power) === 2 ? '²' : ''}`
}

function ratio(value: number): string {
  return String(Number(value.toPrecision(6)))
}

function range(values: readonly number[]): string {
  const [low, high] = [ratio(Math.min(...values)), ratio(Math.max(...values))]
  return low === high ? low : `${low} to ${high}`
}

function correlation(value: number): string {
  return Number.isNaN(value) ? '' : value.toFixed(3)
}

function row(cells: readonly string[]): void {
  console.log(`| ${cells.join(' | ')} |`)
}
