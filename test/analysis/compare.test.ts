import { expect } from 'chai'
import { analyzeRun } from '../../src/analysis/analyze.js'
import { compareRuns } from '../../src/analysis/compare.js'
import type { RunAnalysis } from '../../src/analysis/model.js'
import { studentQuantile, studentTwoSided } from '../../src/analysis/statistics/student.js'
import { useFolder } from '../tables/folder.js'
import { denseLayers, noiseRun, range, writeRun, type MadeRun } from './made-run.js'

const LAYERS = denseLayers(['first', 'second'], 2, 2)
const PARAMETERS = 12

describe('runs side by side', () => {
  const folder = useFolder()

  async function analyze(name: string, run: MadeRun): Promise<RunAnalysis> {
    return analyzeRun(await writeRun(`${folder()}/${name}`, run), { name })
  }

  /** The loss falls from 2 by `fall` in each interval, all parameters alike. */
  function falling(intervals: number, fall: number, stride: number): MadeRun {
    return { ...noiseRun('falling', intervals, LAYERS), lca: () => -fall / PARAMETERS, stride }
  }

  it('cover by step what all runs cover', async () => {
    const runs = [await analyze('long', falling(40, 0.01, 10)), await analyze('short', falling(60, 0.02, 5))]
    const { from, to, runs: compared, layers, levels } = compareRuns(runs, { by: 'step' })
    expect([from, to]).to.deep.equal([0, 300])
    expect(compared.map(({ intervals }) => intervals)).to.deep.equal([
      { from: 0, to: 30 },
      { from: 0, to: 60 },
    ])
    expect(compared[1]!.losses.to).to.be.closeTo(2 - 60 * 0.02, 1e-9)
    // half of the parameters each
    expect(layers.map(({ lca }) => lca.map((e) => Number(e!.value.toFixed(9))))).to.deep.equal([
      [-0.15, -0.6],
      [-0.15, -0.6],
    ])
    expect(layers[0]!.mean).to.equal(undefined)
    expect(levels.map(({ level }) => level)).to.deep.equal([0, 38, 75, 113, 150, 188, 225, 263, 300])
    expect(levels[2]!.runs.map(({ step }) => step)).to.deep.equal([70, 75])
    expect(levels[2]!.runs[1]!.helping).to.equal(1)
  })

  it('cover by loss what all went through, each in its own time', async () => {
    const runs = [await analyze('slow', falling(100, 0.01, 1)), await analyze('quick', falling(50, 0.025, 1))]
    const { to, runs: compared, layers } = compareRuns(runs, { by: 'loss' })
    expect(to).to.be.closeTo(1, 1e-9)
    expect(compared.map(({ steps }) => steps.from)).to.deep.equal([0, 0])
    expect(compared[0]!.steps.to).to.be.within(99, 100)
    expect(compared[1]!.steps.to).to.be.within(40, 41)
    expect(layers[0]!.lca[0]!.value).to.be.closeTo(layers[0]!.lca[1]!.value, 0.02)
  })

  it('give the mean of several runs with its interval, and its test', async () => {
    const runs: RunAnalysis[] = []
    for (const seed of range(5)) {
      const base = noiseRun(`seed ${seed}`, 30, LAYERS)
      runs.push(
        await analyze(`seed${seed}`, {
          ...base,
          lca: (split, t, tensor, p) => base.lca(split, t, tensor, p) + (tensor >= 2 ? 1e-3 : -3e-3),
        }),
      )
    }
    const { layers } = compareRuns(runs, { by: 'step' })
    const second = layers[1]!
    const values = second.lca.map((estimate) => estimate!.value)
    const mean = values.reduce((sum, value) => sum + value, 0) / 5
    const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / 4)
    expect(second.mean!.value).to.be.closeTo(mean, 1e-12)
    // the 97.5 % point of Student's t with 4 degrees of freedom
    expect(second.mean!.high - mean).to.be.closeTo((2.7764451051977987 * deviation) / Math.sqrt(5), 1e-9)
    // of two layers tested the smaller p-value counts twice, the larger at least as much
    const alone = [layers[0]!, second].map(({ mean: of }) =>
      studentTwoSided((of!.value * studentQuantile(0.05, 4)) / (of!.high - of!.value), 4),
    )
    expect(Math.min(...layers.map(({ p }) => p))).to.be.closeTo(2 * Math.min(...alone), 1e-9)
    expect(second.p).to.be.below(0.01)
  })

  it('set layers that a run lacks apart', async () => {
    const runs = [
      await analyze('two', noiseRun('two', 30, LAYERS)),
      await analyze('one', noiseRun('one', 30, denseLayers(['second', 'third'], 2, 2))),
    ]
    const { layers } = compareRuns(runs, { by: 'step' })
    expect(layers.map(({ layer, lca }) => [layer, lca.map((e) => e !== undefined)])).to.deep.equal([
      ['first', [true, false]],
      ['second', [true, true]],
      ['third', [false, true]],
    ])
  })

  it('say why nothing can be compared', async () => {
    const one = await analyze('one', falling(30, 0.01, 1))
    const later = {
      ...one,
      facts: { ...one.facts, name: 'later', steps: one.facts.steps.map((s) => s + 100) },
    }
    const epochs = { ...one, facts: { ...one.facts, stepUnit: 'epoch' } }
    const higher = await analyze('higher', { ...falling(30, -0.01, 1) })
    expect(() => compareRuns([one, later], { by: 'step' })).to.throw(RangeError, 'no steps in common')
    expect(() => compareRuns([one, epochs], { by: 'step' })).to.throw(RangeError, 'count differently')
    expect(() => compareRuns([one, higher], { by: 'loss' })).to.throw(RangeError, 'no losses in common')
    expect(() => compareRuns([one, one], { by: 'step', split: 'test' })).to.throw(
      RangeError,
      'one has no split test, only train, val',
    )
  })
})
