import { expect } from 'chai'
import { analyzeRun } from '../../src/analysis/analyze.js'
import type { Finding, FindingKind, RunAnalysis } from '../../src/analysis/model.js'
import { useFolder } from '../tables/folder.js'
import { denseLayers, noiseRun, normals, range, writeRun, type MadeRun } from './made-run.js'
import { Random } from '../support/random.js'

const LAYERS = denseLayers(['first', 'middle', 'last'])
const INTERVALS = 120

describe('findings', () => {
  const folder = useFolder()
  const analyze = async (run: MadeRun): Promise<RunAnalysis> => analyzeRun(await writeRun(folder(), run))

  function ofKind({ findings }: RunAnalysis, kind: FindingKind): Finding[] {
    return findings.filter((finding) => finding.kind === kind)
  }

  it('are in at most 2 % of 200 runs of noise', async function () {
    this.timeout(300_000)
    const found: string[] = []
    for (const run of range(200)) {
      const { findings } = await analyze(noise(`noise ${run}`, run))
      if (findings.length > 0) found.push(`run ${run}: ${findings.map(({ text }) => text).join(' ')}`)
    }
    expect(found.length, found.join('\n')).to.be.at.most(4)
  })

  it('name a layer that hurts, with its interval and, for the last one, what to do', async () => {
    const base = noiseRun('hurts', INTERVALS, LAYERS)
    const analysis = await analyze({
      ...base,
      lca: (split, t, tensor, p) => base.lca(split, t, tensor, p) + (tensor >= 4 ? 5e-4 : -1e-3),
    })
    const [train, val, ...others] = ofKind(analysis, 'hurting-layer')
    expect(others).to.be.empty
    expect(train).to.include({ layer: 'last', split: 'train', figure: 'layers' })
    expect(val).to.include({ layer: 'last', split: 'val' })
    expect(train!.advice).to.match(/last layer: freeze it .* divide its learning rate by ten/)
    expect(train!.p).to.be.below(0.01)
    // 24 parameters of +5e-4 in 120 intervals
    const { value, low, high } = analysis.splits[0]!.layers[2]!.total
    expect(value).to.be.closeTo(24 * 120 * 5e-4, 0.2)
    expect(low).to.be.within(1, value)
    expect(high).to.be.within(value, 2)
    expect(train!.text).to.contain(`raised the loss by ${value.toPrecision(3)} (95 % interval`)
  })

  it('name a layer that memorises, and when to stop', async () => {
    const base = noiseRun('memorises', INTERVALS, LAYERS)
    const analysis = await analyze({
      ...base,
      lca: (split, t, tensor, p) => {
        const planted = split === 0 ? -1e-3 : t < 10 ? -1e-3 : 1.5e-3
        return base.lca(split, t, tensor, p) + (tensor >= 2 && tensor < 4 ? planted : -5e-4)
      },
    })
    const [finding, ...others] = ofKind(analysis, 'memorising-layer')
    expect(others).to.be.empty
    expect(finding).to.include({ layer: 'middle', split: 'val' })
    expect(finding!.advice).to.match(/best at step (9|1[0-2]): freeze it/)
  })

  it('do not advise to stop before the start where a layer never helped', async () => {
    const base = noiseRun('memorises at once', INTERVALS, LAYERS)
    const analysis = await analyze({
      ...base,
      lca: (split, t, tensor) =>
        (tensor >= 2 && tensor < 4 && split === 1 ? 1e-3 : -1e-3) * (1 + ((7 * t) % 5) / 10),
    })
    expect(ofKind(analysis, 'memorising-layer')[0]!.advice).to.equal(
      'It never helped on val: freeze it from the start, or regularise it more.',
    )
  })

  it('name a layer that goes back and forth', async () => {
    const base = noiseRun('oscillates', INTERVALS, LAYERS)
    const analysis = await analyze({
      ...base,
      movement: (t, tensor, p) =>
        base.movement(t, tensor, p) + (tensor < 2 ? 0.02 * (t % 2 === 0 ? 1 : -1) : 0),
    })
    const [finding, ...others] = ofKind(analysis, 'oscillation')
    expect(others).to.be.empty
    expect(finding).to.include({ layer: 'first', advice: 'Lower the learning rate.' })
    const [first] = analysis.splits[0]!.layers
    expect(first!.oscillation.movementCosine.value).to.be.below(-0.7)
    expect(first!.oscillation.movementFlips).to.be.above(0.9)
  })

  it('name a hurting layer that follows the gradient of the interval before', async () => {
    const base = noiseRun('lags', INTERVALS, LAYERS)
    const analysis = await analyze({
      ...base,
      lca: (split, t, tensor, p) => base.lca(split, t, tensor, p) + (tensor >= 4 ? 5e-4 : -1e-3),
      movement: (t, tensor, p) =>
        tensor >= 4 && t > 0
          ? 0.2 * base.movement(t, tensor, p) - base.gradient(0, t - 1, tensor, p)
          : base.movement(t, tensor, p),
    })
    const [finding, ...others] = ofKind(analysis, 'lag')
    expect(others).to.be.empty
    expect(finding).to.include({ layer: 'last' })
    expect(analysis.splits[0]!.layers[2]!.oscillation).to.include({ lag: 1 })
  })

  it('tell that layers learn together, where they do', async () => {
    const base = noiseRun('together', INTERVALS, LAYERS)
    const peak = (t: number): boolean => t % 7 === 3
    const analysis = await analyze({
      ...base,
      lca: (split, t, tensor, p) => base.lca(split, t, tensor, p) - (peak(t) ? 3e-3 : 0),
    })
    const [finding] = ofKind(analysis, 'synchrony')
    expect(finding).to.include({ figure: 'synchrony', split: 'train' })
    const { peaks, coincident, observed, expected } = analysis.splits[0]!.synchrony!
    expect(observed).to.be.above(2 * expected)
    for (const t of range(INTERVALS - 1).filter(peak)) {
      expect([...peaks.map((layer) => layer[t])]).to.deep.equal([1, 1, 1])
      expect(coincident[t]).to.equal(3)
    }
  })

  it('tell how many parameters help, and how few carry the learning', async () => {
    const base = noiseRun('few', INTERVALS, LAYERS)
    const analysis = await analyze({
      ...base,
      lca: (split, t, tensor, p) =>
        base.lca(split, t, tensor, p) - 2e-4 - (tensor === 0 && p === 3 ? 0.05 : 0),
    })
    expect(ofKind(analysis, 'helping-share')[0]!.text).to.match(
      /In an interval 5\d\.\d % .* barely over half/,
    )
    expect(ofKind(analysis, 'concentration')[0]!.text).to.match(/^1 parameter \(1\.4 %\) carry half/)
    expect(analysis.splits[0]!.parameters.best[0]).to.include({ tensor: 'first.weight', index: 3, unit: 0 })
  })

  it('tell how many parameters help though nothing moves in the first interval of a warm-up', async () => {
    const base = noiseRun('warm-up', INTERVALS, LAYERS)
    const analysis = await analyze({
      ...base,
      lca: (split, t, tensor, p) => (t === 0 ? 0 : base.lca(split, t, tensor, p) - 1e-3),
      movement: (t, tensor, p) => (t === 0 ? 0 : base.movement(t, tensor, p)),
    })
    // a normal number is below 1 with the chance 0.841
    expect(ofKind(analysis, 'helping-share')[0]!.text).to.match(/^In an interval 8[345]\.\d %/)
  })

  it('tell where the first order misleads', async () => {
    const base = noiseRun('first order', INTERVALS, LAYERS)
    const analysis = await analyze({
      ...base,
      lca: (split, t, tensor, p) => base.lca(split, t, tensor, p) + (tensor >= 4 ? 5e-4 : -1e-3),
      // downhill everywhere: -gradient is the movement
      movement: (t, tensor, p) => -base.gradient(0, t, tensor, p),
    })
    const [finding] = ofKind(analysis, 'first-order')
    expect(finding!.text).to.match(/It gives last the wrong sign\.$/)
    expect(analysis.splits[0]!.approximation.changedSigns).to.deep.equal(['last'])
  })

  it('count dead units and tensors, intervals that did not converge and jumps', async () => {
    const base = noiseRun('dead', INTERVALS, [...LAYERS, ...denseLayers(['frozen'])])
    const analysis = await analyze({
      ...base,
      lca: (split, t, tensor, p) => {
        if (tensor >= 6 || (tensor === 2 && Math.floor(p / 5) === 1)) return 0
        return base.lca(split, t, tensor, p) + (t === 60 && tensor === 4 ? 0.1 : 0)
      },
      movement: (t, tensor, p) => (tensor === 6 ? 0 : base.movement(t, tensor, p)),
      converged: (t) => t !== 5,
    })
    expect(ofKind(analysis, 'dead-units').map(({ text }) => text)).to.deep.equal([
      '1 unit of 4 of middle.weight is dead: none of its parameters moved the loss on train in any interval (unit 1).',
    ])
    expect(ofKind(analysis, 'dead-tensor').map(({ text }) => text)).to.have.members([
      'Tensor frozen.weight never moved: its LCA is zero throughout.',
      'Tensor frozen.bias moves, but its gradient on train is zero: it does not take part in the loss.',
    ])
    expect(ofKind(analysis, 'not-conserved')[0]!.text).to.match(/^1 of 120 intervals did not converge/)
    expect(ofKind(analysis, 'jump')[0]).to.include({ layer: 'last' })
    expect(ofKind(analysis, 'jump')[0]!.text).to.match(/from step 60 to 61/)
    expect(analysis.findings[0]!.kind).to.equal('not-conserved')
  })

  it('do not take for a jump that all changes are large at first', async () => {
    const base = noiseRun('large at first', INTERVALS, LAYERS)
    const decay = (t: number): number => 100 ** (-t / INTERVALS)
    const analysis = await analyze({
      ...base,
      lca: (split, t, tensor, p) => decay(t) * base.lca(split, t, tensor, p),
    })
    const changes = analysis.splits[0]!.lca
    const [most, typical] = [Math.max(...changes), changes.map(Math.abs).sort()[INTERVALS / 2]!]
    const { losses } = analysis.splits[0]!
    // so that only its neighbours tell
    expect(most).to.be.above(20 * typical)
    expect(most).to.be.above(0.2 * (Math.max(...losses) - Math.min(...losses)))
    expect(ofKind(analysis, 'jump')).to.be.empty
  })

  it('say that checkpoints are too far apart', async () => {
    const base = noiseRun('sparse', INTERVALS, LAYERS)
    const analysis = await analyze({ ...base, stride: 50 })
    expect(ofKind(analysis, 'sparse-checkpoints')[0]!.text).to.match(
      /^Checkpoints are 50 steps apart, and in/,
    )
  })

  it('take very many of a kind together', async () => {
    const names = range(20).map((i) => `layer${i}`)
    const base = noiseRun('many', INTERVALS, denseLayers(names, 2, 2))
    const analysis = await analyze({
      ...base,
      lca: (split, t, tensor, p) => base.lca(split, t, tensor, p) + (tensor < 20 ? 2e-3 : -3e-3),
    })
    const train = ofKind(analysis, 'hurting-layer').filter(({ split }) => split === 'train')
    expect(train).to.have.length(5)
    expect(train[4]!.text).to.match(/^Layers that hurt too \(on train\): layer\d+, .* and layer\d+\.$/)
  })

  it('are none of estimates in runs too short to tell', async () => {
    const base = noiseRun('short', 12, LAYERS)
    const analysis = await analyze({
      ...base,
      lca: (split, t, tensor, p) => base.lca(split, t, tensor, p) + (tensor >= 4 ? 5e-3 : -1e-2),
    })
    expect(analysis.findings.filter(({ p }) => p !== undefined)).to.be.empty
    expect(analysis.splits[0]!.layers[0]!.total.low).to.be.NaN
  })
})

/**
 * Noise of several kinds by the run's number, of three lengths: independent; with a memory of the interval before; with
 * heavy tails; a hundred times larger at first.
 */
function noise(seed: string, run: number): MadeRun {
  const intervals = [30, 60, 120][run % 3]!
  const base = noiseRun(seed, intervals, denseLayers(['a', 'b', 'c', 'd'], 2, 3))
  const kind = run % 4
  if (kind === 0) return base
  const random = new Random(`${seed}, more`)
  const more = base.splits.map(() =>
    base.tensors.map(() =>
      kind === 1 ? remembering(random, intervals, 0.5) : heavyTailed(random, intervals),
    ),
  )
  return {
    ...base,
    lca: (split, t, tensor, p) => {
      const own = base.lca(split, t, tensor, p)
      if (kind === 3) return own * 100 ** (-t / intervals)
      return own + 1e-3 * more[split]![tensor]![t]!
    },
  }
}

/** Each value keeps a part of the one before. */
function remembering(random: Random, count: number, memory: number): number[] {
  let last = 0
  return normals(random, count).map((value) => (last = memory * last + value))
}

/** Student's t with three degrees of freedom. */
function heavyTailed(random: Random, count: number): number[] {
  return range(count).map(() => {
    const [value, ...others] = normals(random, 4)
    return value! / Math.sqrt(others.reduce((sum, other) => sum + other * other, 0) / 3)
  })
}
