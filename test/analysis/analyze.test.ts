import { expect } from 'chai'
import { analyzeRun } from '../../src/analysis/analyze.js'
import type { RunAnalysis } from '../../src/analysis/model.js'
import { analyzeSynchrony, peaksOf } from '../../src/analysis/synchrony.js'
import { Random } from '../support/random.js'
import { useFolder } from '../tables/folder.js'
import { denseLayers, noiseRun, normals, range, writeRun, type MadeRun, type MadeTensor } from './made-run.js'

const LAYERS = denseLayers(['first', 'second'])
const EMBEDDING: MadeTensor = { tensor: 'table', layer: 'table', role: 'embedding', units: 6, perUnit: 3 }
const STATISTICS: MadeTensor = {
  tensor: 'norm.running_mean',
  layer: 'norm',
  role: 'buffer',
  units: 3,
  perUnit: 1,
}

describe('the analysis of a run', () => {
  const folder = useFolder()
  const analyze = async (run: MadeRun): Promise<RunAnalysis> =>
    analyzeRun(await writeRun(folder(), run), { name: 'made' })

  it('holds losses, LCA and shares as the tables do', async () => {
    const run = noiseRun('losses', 40, [...LAYERS, STATISTICS])
    const { facts, splits } = await analyze(run)
    expect(facts).to.include({ name: 'made', intervals: 40, stepUnit: 'step', parameters: 48, converged: 40 })
    expect(facts.steps).to.deep.equal(range(41))
    expect(splits.map(({ split }) => split)).to.deep.equal(['train', 'val'])
    const lca = range(40).map((t) => sum(allLca(run, 1, t)))
    const { losses, helping, layers, roles } = splits[1]!
    expect(losses[40]).to.be.closeTo(2 + sum(lca), 1e-12)
    // buffers move the loss, but are not among the parameters
    const trained = allLca({ ...run, tensors: LAYERS }, 1, 7)
    expect(helping[7]).to.equal(trained.filter((value) => value < 0).length / 48)
    expect(layers.map(({ name }) => name)).to.deep.equal(['first', 'second', 'norm'])
    expect(roles.map(({ name, parameters }) => [name, parameters])).to.deep.equal([
      ['weight', 40],
      ['bias', 8],
      ['buffer', 3],
    ])
    expect(sum(layers.map(({ total }) => total.value))).to.be.closeTo(sum(lca), 1e-12)
  })

  it('joins the cosines of tensors to those of their layer', async () => {
    const run = noiseRun('cosines', 30, LAYERS)
    const { splits } = await analyze(run)
    const vectors = range(30).map((t) => ({
      movement: [0, 1].flatMap((i) => places(LAYERS[i]!).map((p) => run.movement(t, i, p))),
      gradient: [0, 1].flatMap((i) => places(LAYERS[i]!).map((p) => run.gradient(0, t, i, p))),
    }))
    const mean = (of: (t: number) => number): number => sum(range(29).map((t) => of(t + 1))) / 29
    const { cosineAtLag, movementCosine } = splits[0]!.layers[0]!.oscillation
    expect(cosineAtLag[0]).to.be.closeTo(
      mean((t) => -cosine(vectors[t]!.gradient, vectors[t]!.movement)),
      1e-12,
    )
    expect(cosineAtLag[1]).to.be.closeTo(
      mean((t) => -cosine(vectors[t - 1]!.gradient, vectors[t]!.movement)),
      1e-12,
    )
    expect(movementCosine.value).to.be.closeTo(
      mean((t) => cosine(vectors[t - 1]!.movement, vectors[t]!.movement)),
      1e-12,
    )
  })

  it('counts sign changes and what is undone as shares', async () => {
    const run = {
      ...noiseRun('flips', 21, LAYERS),
      lca: (_: number, t: number) => (t % 2 === 0 ? -3 : 1),
      movement: (t: number) => (t % 4 < 2 ? 1 : -1),
    }
    const { lcaFlips, movementFlips, undone } = (await analyze(run)).splits[0]!.layers[0]!.oscillation
    expect(lcaFlips).to.equal(1)
    expect(movementFlips).to.equal(0.5)
    // each of 20 times 1 is taken back, of 11 times 3 and 10 times 1
    expect(undone).to.be.closeTo(20 / 43, 1e-12)
  })

  it('has path lengths, efficiency and Synaptic Intelligence by their definitions', async () => {
    const run = noiseRun('paths', 25, LAYERS)
    const { tensors } = (await analyze(run)).splits[0]!
    const [tensor] = tensors
    const moves = range(25).map((t) => places(LAYERS[0]!).map((p) => run.movement(t, 0, p)))
    const path = sum(moves.map((move) => norm(move)))
    const total = places(LAYERS[0]!).map((p) => sum(moves.map((move) => move[p]!)))
    expect(tensor!.pathLength).to.be.closeTo(path, 1e-12)
    expect(tensor!.efficiency).to.be.closeTo(norm(total) / path, 1e-12)
    const importance = places(LAYERS[0]!).map(
      (p) => -sum(range(25).map((t) => run.lca(0, t, 0, p))) / (total[p]! ** 2 + 1e-3),
    )
    expect(tensor!.synapticIntelligence).to.be.closeTo(sum(importance), 1e-9)
    expect(tensor!.relativeUpdate).to.be.closeTo(path / 25 / 10, 1e-12)
    expect(tensor!.fisher).to.be.NaN
  })

  it('leaves out of relative updates the intervals in which weights are zero, as biases are at first', async () => {
    const run = { ...noiseRun('zero', 25, LAYERS), weightNorm: (t: number) => (t === 0 ? 0 : 10) }
    const [tensor] = (await analyze(run)).splits[0]!.tensors
    const moves = range(24).map((t) => norm(places(LAYERS[0]!).map((p) => run.movement(t + 1, 0, p))))
    expect(tensor!.relativeUpdate).to.be.closeTo(sum(moves) / 24 / 10, 1e-12)
  })

  it('takes names as they are, and tensors without elements', async () => {
    const tensors = [`it's; "drop" --`, 'zero\0\u001b[31m', '__proto__'].map((name): MadeTensor => ({
      tensor: name,
      layer: name,
      role: 'weight',
      units: 2,
      perUnit: 2,
    }))
    const empty: MadeTensor = { tensor: 'empty', layer: 'empty', role: 'weight', units: 0, perUnit: 1 }
    const { splits } = await analyze(noiseRun('names', 25, [...tensors, empty]))
    const { layers, parameters, units } = splits[0]!
    expect(layers.map(({ name }) => name)).to.deep.equal([...tensors.map(({ tensor }) => tensor), 'empty'])
    expect(layers.map(({ parameters: count }) => count)).to.deep.equal([4, 4, 4, 0])
    expect(layers[1]!.oscillation.movementFlips).to.be.within(0.3, 0.7)
    expect(parameters.parameters).to.equal(12)
    expect(units.tensors.map(({ tensor }) => tensor)).to.deep.equal(tensors.map(({ tensor }) => tensor))
  })

  it('ranks other measures beside LCA', async () => {
    const run = {
      ...noiseRun('ranks', 25, LAYERS),
      // each parameter helps the more the larger its Fisher information, and the less the further it moves
      lca: (_: number, __: number, tensor: number, p: number) => -(1 + p + 100 * tensor),
      movement: (_: number, tensor: number, p: number) => 1000 - p - 100 * tensor,
      fisher: (tensor: number, p: number) => (1 + p + 100 * tensor) ** 2,
    }
    const measures = new Map((await analyze(run)).splits[0]!.measures.map((m) => [m.measure, m]))
    expect(measures.get('empirical Fisher')!.parameters).to.equal(1)
    expect(measures.get('path length')!.parameters).to.equal(-1)
    expect(measures.get('distance')!.parameters).to.equal(-1)
    expect(measures.get('gradient norm')!.parameters).to.be.NaN
    expect(measures.get('Synaptic Intelligence')!.parameters).to.equal(1)
  })

  it('counts parameters that carry half, and bins them by how often they helped', async () => {
    const run = {
      ...noiseRun('half', 20, LAYERS),
      // the first parameter of the first tensor carries 40 of 86, 46 others 1 each
      lca: (_: number, t: number, tensor: number, p: number) =>
        t > 0 ? 0 : tensor === 0 && p === 0 ? -40 : tensor === 3 && p === 3 ? 5 : -1,
      movement: (_: number, tensor: number, p: number) => (tensor === 1 && p === 0 ? 0 : 1),
    }
    const { parameters } = (await analyze(run)).splits[0]!
    expect(parameters).to.include({
      parameters: 48,
      half: 4,
      halfShare: 4 / 48,
      hurtingHalf: 1,
      neverMoved: 1,
    })
    // helped in 1 of 20: bin 2 of 50; never: bin 0
    expect(parameters.helpedHistogram[2]).to.equal(46)
    expect(parameters.helpedHistogram[0]).to.equal(1)
    expect(parameters.best[0]).to.deep.equal({ tensor: 'first.weight', index: 0, unit: 0, lca: -40 })
    expect(parameters.worst).to.deep.equal([{ tensor: 'second.bias', index: 3, unit: 3, lca: 5 }])
  })

  it('tells of units: dead ones, best and worst, and a map over time', async () => {
    const run = {
      ...noiseRun('units', 250, [...LAYERS, EMBEDDING]),
      lca: (_: number, t: number, tensor: number, p: number) =>
        tensor !== 4 ? 0 : Math.floor(p / 3) === 2 ? 0 : Math.floor(p / 3) === 5 ? 1 : -(t % 2) * (1 + p),
    }
    const { units } = (await analyze(run)).splits[0]!
    const table = units.tensors.find(({ tensor }) => tensor === 'table')!
    expect(table).to.deep.include({ count: 6, dead: [2], worst: { unit: 5, lca: 750 } })
    // parameters 12 to 14 help by 13 + 14 + 15 in every second interval
    expect(table.best).to.deep.equal({ unit: 4, lca: -42 * 125 })
    expect(table.half).to.equal(2)
    expect(table.map!.units).to.deep.equal([0, 1, 2, 3, 4, 5])
    expect(table.map!.bins.slice(0, 2)).to.deep.equal([0, 3])
    expect(table.map!.bins.at(-1)).to.equal(250)
    expect(table.map!.lca[5]!.slice(0, 2)).to.deep.equal([9, 9])
    // 250 intervals in bins of 3: the last one holds one
    expect(table.map!.lca[5]!.at(-1)).to.equal(3)
    expect(sum(table.map!.lca.flat())).to.be.closeTo(sum(range(250).flatMap((t) => allLca(run, 0, t))), 1e-9)
  })

  it('compares the first order with the integral', async () => {
    const run = noiseRun('first order', 30, LAYERS)
    const { approximation } = (await analyze(run)).splits[0]!
    const change = range(30).map((t) => sum(allLca(run, 0, t)))
    const firstOrder = range(30).map((t) =>
      sum(
        LAYERS.flatMap((tensor, i) =>
          places(tensor).map((p) => run.movement(t, i, p) * run.gradient(0, t, i, p)),
        ),
      ),
    )
    const errors = firstOrder.map((value, t) => value - change[t]!)
    expect(approximation.error).to.be.closeTo(sum(errors), 1e-12)
    expect(approximation.relativeError).to.be.closeTo(Math.abs(sum(errors) / sum(change)), 1e-9)
    expect(approximation.perInterval).to.be.closeTo(sum(errors.map(Math.abs)) / 30, 1e-12)
  })

  it('is the same every time', async () => {
    const results = await writeRun(folder(), noiseRun('same', 40, LAYERS))
    const [once, again] = [await analyzeRun(results), await analyzeRun(results)]
    expect(again).to.deep.equal(once)
  })
})

describe('synchrony', () => {
  it('takes for a peak what is below zero and below its neighbours', () => {
    expect([...peaksOf(Float64Array.of(-9, -1, -2, -1, 3, 2, 3, -1, -5))]).to.deep.equal([
      0, 0, 1, 0, 0, 0, 0, 0, 0,
    ])
  })

  it('finds peaks that coincide, against chance', () => {
    const random = new Random('planted')
    const layers = ['a', 'b', 'c'].map((layer) => ({
      layer,
      lca: Float64Array.from(normals(random, 100), (value, t) => value / 10 - (t % 9 === 4 ? 5 : 0)),
    }))
    const { observed, expected, p, pairs } = analyzeSynchrony(layers)!
    expect(observed).to.be.above(expected)
    expect(p).to.be.below(0.001)
    expect(pairs[0]![1]).to.equal(pairs[1]![0])
  })

  it('gives p-values that are evenly spread where layers are independent', () => {
    const random = new Random('independent')
    const ps = range(100).map(() => {
      const layers = range(4).map((i) => ({ layer: String(i), lca: Float64Array.from(normals(random, 60)) }))
      return analyzeSynchrony(layers)!.p
    })
    expect(ps.filter((p) => p < 0.05).length).to.be.at.most(12)
    expect(ps.filter((p) => p < 0.5).length).to.be.within(35, 65)
  })

  it('does not take for synchrony that no layer peaks while the loss falls smoothly', () => {
    const random = new Random('smooth, then noisy')
    const tests = range(30).map(() => {
      const layers = range(6).map((i) => ({
        layer: String(i),
        lca: Float64Array.from(normals(random, 200), (value, t) => (t < 80 ? t - 100 : value)),
      }))
      return analyzeSynchrony(layers)!
    })
    expect(tests.filter(({ p }) => p < 0.05).length).to.be.at.most(5)
    const [observed, expected] = [sum(tests.map((s) => s.observed)), sum(tests.map((s) => s.expected))]
    expect(observed / expected).to.be.within(0.95, 1.05)
  })

  it('finds two layers that always peak together', () => {
    const random = new Random('two')
    const lca = Float64Array.from(normals(random, 200))
    const noise = normals(random, 200)
    const { p, observed } = analyzeSynchrony([
      { layer: 'a', lca },
      { layer: 'b', lca: lca.map((value, t) => value + 1e-6 * noise[t]!) },
    ])!
    expect(observed).to.be.above(0.95)
    expect(p).to.be.below(0.001)
  })

  it('says nothing of one layer or of few intervals', () => {
    const lca = Float64Array.from(normals(new Random('few'), 40))
    expect(analyzeSynchrony([{ layer: 'a', lca }])).to.equal(undefined)
    const short = lca.subarray(0, 12)
    expect(
      analyzeSynchrony([
        { layer: 'a', lca: short },
        { layer: 'b', lca: short },
      ]),
    ).to.equal(undefined)
  })
})

function places({ units, perUnit }: MadeTensor): number[] {
  return range(units * perUnit)
}

function allLca(run: MadeRun, split: number, t: number): number[] {
  return run.tensors.flatMap((tensor, i) => places(tensor).map((p) => run.lca(split, t, i, p)))
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}

function norm(values: readonly number[]): number {
  return Math.sqrt(sum(values.map((value) => value * value)))
}

function cosine(a: readonly number[], b: readonly number[]): number {
  return sum(a.map((value, i) => value * b[i]!)) / (norm(a) * norm(b))
}
