import { expect } from 'chai'
import { compile } from 'vega-lite'
import * as vega from 'vega'
import { FIGURES, type RunAnalysis, type SplitAnalysis } from '../../src/analysis/model.js'
import { toPageVega } from '../../src/report/compile.js'
import { isDrawn, type Figure } from '../../src/report/figure.js'
import { figureOf, figuresOf } from '../../src/report/figures.js'
import { DARK_OF, darkened } from '../../src/report/palette.js'
import { SECTIONS } from '../../src/report/page/figures.js'
import { HOSTILE, hostileRun, QUOTES } from './hostile.js'
import { madeUpRun } from './made-up.js'

/** Runs of all shapes that figures must bear. */
const RUNS: Readonly<Record<string, () => RunAnalysis>> = {
  'a usual one': () => madeUpRun({ intervals: 60, layers: 4 }),
  'one interval of one layer, on one split': () =>
    madeUpRun({ intervals: 1, layers: 1, splits: ['train'], units: 2 }),
  'many intervals and layers, on three splits': () =>
    madeUpRun({ intervals: 900, layers: 60, splits: ['train', 'val', 'test'] }),
  'checkpoints ten steps apart': () => madeUpRun({ intervals: 30, layers: 3, stride: 10 }),
  'nothing moves': () => withSplits(madeUpRun({ intervals: 5, layers: 2 }), still),
  'LCA of some tensors only': () =>
    withSplits(madeUpRun({ intervals: 20, layers: 2 }), (split) => ({
      ...split,
      residual: split.residual.map(() => NaN),
    })),
  'a run too short for intervals of confidence': () =>
    withSplits(madeUpRun({ intervals: 3, layers: 2 }), (split) => ({
      ...split,
      layers: split.layers.map((layer) => ({
        ...layer,
        total: { value: layer.total.value, low: NaN, high: NaN },
      })),
    })),
  'no units, no synchrony, no measures': () =>
    withSplits(madeUpRun({ intervals: 20, layers: 2 }), (split) => ({
      ...split,
      units: { tensors: [] },
      synchrony: undefined,
      measures: split.measures.map((measure) => ({ ...measure, tensors: NaN, parameters: NaN })),
    })),
  'hostile names': hostileRun,
}

function withSplits(run: RunAnalysis, change: (split: SplitAnalysis) => SplitAnalysis): RunAnalysis {
  return { ...run, splits: run.splits.map(change) }
}

/** A run in which nothing happens. */
function still(split: SplitAnalysis): SplitAnalysis {
  const zero = (values: Float64Array): Float64Array => new Float64Array(values.length)
  return {
    ...split,
    losses: split.losses.map(() => 2),
    lca: zero(split.lca),
    residual: zero(split.residual),
    firstOrder: zero(split.firstOrder),
    layers: split.layers.map((layer) => ({
      ...layer,
      lca: zero(layer.lca),
      total: { value: 0, low: 0, high: 0 },
    })),
    parameters: { ...split.parameters, helpedHistogram: split.parameters.helpedHistogram.map(() => 0) },
    units: {
      tensors: split.units.tensors.map((tensor) => ({
        ...tensor,
        ...(tensor.map && { map: { ...tensor.map, lca: tensor.map.lca.map((unit) => unit.map(() => 0)) } }),
      })),
    },
  }
}

/** What a library says while it works is added to `said`. */
function listener(said: string[]): vega.LoggerInterface {
  const hear = (...all: readonly unknown[]): vega.LoggerInterface => {
    said.push(all.join(' '))
    return log
  }
  const level = ((...given: number[]) =>
    given.length === 0 ? vega.Warn : log) as vega.LoggerInterface['level']
  const log: vega.LoggerInterface = { level, error: hear, warn: hear, info: () => log, debug: () => log }
  return log
}

function drawnFigures(run: RunAnalysis): Figure[] {
  return figuresOf(run).filter(isDrawn)
}

function rowsOf(figure: Figure): readonly Record<string, unknown>[] {
  return (figure.spec as unknown as { data: { values: Record<string, unknown>[] } }).data.values
}

function drawn(run: RunAnalysis, name: Figure['name']): Figure {
  const figure = figureOf(run, name)
  if (!isDrawn(figure)) throw new Error(`${name} is not drawn: ${figure.absent}`)
  return figure
}

describe('figures', () => {
  for (const [what, make] of Object.entries(RUNS))
    it(`compile and draw without a word: ${what}`, async function () {
      this.timeout(60_000)
      for (const { name, spec, description, title, reading } of drawnFigures(make())) {
        const said: string[] = []
        const log = listener(said)
        const compiled = compile(spec, { logger: log }).spec
        const view = new vega.View(vega.parse(compiled), { renderer: 'none', logger: log })
        const svg = await view.toSVG()
        view.finalize()
        expect(said, name).to.deep.equal([])
        expect(svg, name).to.match(/<svg[^]*<(path|text)/)
        expect(svg, name).not.to.match(/NaN|undefined/)
        expect(description + title + reading, name).not.to.match(/NaN|undefined|Infinity/)
      }
    })

  it('are all drawn of a usual run, in the order of the report, and each stands in a section', () => {
    const run = madeUpRun({ intervals: 60, layers: 4 })
    expect(drawnFigures(run).map(({ name }) => name)).to.deep.equal([...FIGURES])
    expect(SECTIONS.flatMap(({ figures }) => figures)).to.have.members([...FIGURES])
  })

  it('say why they are not drawn', () => {
    const absent = (make: () => RunAnalysis): string[] =>
      figuresOf(make()).flatMap((figure) => (isDrawn(figure) ? [] : [`${figure.name}: ${figure.absent}`]))
    expect(absent(RUNS['no units, no synchrony, no measures']!).join('\n')).to.match(
      /synchrony: .*two layers[^]*units: No tensor[^]*measures: .*too few/,
    )
    expect(absent(RUNS['LCA of some tensors only']!)).to.have.length(1)
    expect(absent(RUNS['LCA of some tensors only']!)[0]).to.match(/^residual: /)
  })

  it('follow the schema that Altair and editors read', () => {
    for (const { spec } of drawnFigures(madeUpRun({ intervals: 3, layers: 2 })))
      expect(spec.$schema).to.equal('https://vega.github.io/schema/vega-lite/v6.json')
  })

  it('stay small whatever the length of the run', () => {
    const run = madeUpRun({ intervals: 2000, layers: 100, units: 64 })
    const sizes = drawnFigures(run).map(({ name, spec }) => ({ name, size: JSON.stringify(spec).length }))
    for (const { name, size } of sizes) expect(size, name).to.be.below(1_000_000)
    expect(sizes.reduce((sum, { size }) => sum + size, 0)).to.be.below(2_500_000)
  })

  it('keep sums: cells of joined intervals add up to the LCA of the run', () => {
    const run = madeUpRun({ intervals: 900, layers: 30 })
    const rows = rowsOf(drawn(run, 'layer-heatmap')) as unknown as { place: number; lca: number[] }[]
    const cells = rows.filter(({ place }) => place === 0).flatMap(({ lca }) => lca)
    expect(cells).to.have.length(30 * 240)
    const { losses } = run.splits[0]!
    expect(cells.reduce((a, b) => a + b)).to.be.closeTo(losses.at(-1)! - losses[0]!, 1e-4)
  })

  it('rebuild the loss from LCA, and from first order', () => {
    const run = madeUpRun({ intervals: 50, layers: 4 })
    const last = rowsOf(drawn(run, 'loss'))
      .filter(({ split }) => split === 'train')
      .at(-1)!
    const { losses, firstOrder } = run.splits[0]!
    expect(last.measured).to.be.closeTo(losses.at(-1)!, 1e-4)
    expect(last['sum of LCA']).to.be.closeTo(losses.at(-1)!, 1e-4)
    expect(last['sum of first order']).to.be.closeTo(losses[0]! + firstOrder.reduce((a, b) => a + b), 1e-4)
  })

  it('keep the largest residual of joined intervals', () => {
    const run = withSplits(madeUpRun({ intervals: 3000, layers: 2 }), (split) => ({
      ...split,
      residual: split.residual.map((value, t) => (t === 1234 ? -0.5 : value)),
    }))
    const largest = rowsOf({ ...drawn(run, 'residual'), spec: layerOf(drawn(run, 'residual'), 0) })
    expect(largest.filter(({ size }) => size === 0.5)).to.have.length(2)
  })

  it('draw a histogram of single counts without peaks where two counts share a bin', () => {
    // a parameter helps in each number of intervals as often as in any other: the histogram is flat
    const intervals = 60
    const flat = Array.from({ length: 50 }, () => 0)
    for (let helped = 0; helped <= intervals; helped += 1)
      flat[Math.min(49, Math.floor((50 * helped) / intervals))]! += 100
    const run = withSplits(madeUpRun({ intervals, layers: 2 }), (split) => ({
      ...split,
      parameters: { ...split.parameters, helpedHistogram: flat },
    }))
    const [all] = rowsOf(drawn(run, 'helping-histogram')) as unknown as {
      share: number[]
      from: number[]
      to: number[]
    }[]
    expect(new Set(all!.share)).to.have.length(1)
    expect(all!.from.slice(1)).to.deep.equal(all!.to.slice(0, -1))
  })

  it('draw the layers that moved the loss most, and say what the others did together', () => {
    const run = madeUpRun({ intervals: 20, layers: 100 })
    const figure = drawn(run, 'layers')
    const rows = rowsOf(figure) as unknown as { split: string; lca: number; order: number }[]
    expect(rows).to.have.length(2 * 40)
    const train = rows.filter(({ split }) => split === 'train').reduce((sum, { lca }) => sum + lca, 0)
    const { losses } = run.splits[0]!
    const others = losses.at(-1)! - losses[0]! - train
    expect(figure.notes.join()).to.match(/^The 40 of 100 layers that moved the loss most are drawn; /)
    const said = /changed it by −(\S+) on train, −\S+ on val\.$/.exec(figure.notes.join())
    expect(-Number(said![1])).to.be.closeTo(others, 1e-3)
  })

  it('show moments in which all layers learn, however many intervals are joined', () => {
    const made = madeUpRun({ intervals: 3000, layers: 8 })
    const planted = 1500
    const run = withSplits(made, (split) => {
      const synchrony = split.synchrony!
      const peaks = synchrony.peaks.map((own) => own.map((value, t) => (t === planted ? 1 : value)))
      const coincident = synchrony.coincident.map((value, t) => (t === planted ? 8 : Math.min(value, 6)))
      return { ...split, synchrony: { ...synchrony, peaks, coincident } }
    })
    const rows = rowsOf(drawn(run, 'synchrony')) as unknown as {
      from: number[]
      to: number[]
      together: number[]
    }[]
    expect(rows).to.have.length(16)
    for (const { from, to, together } of rows) {
      const mark = from.findIndex((start, i) => start <= planted && planted < to[i]!)
      expect(together[mark]).to.equal(8)
      expect(Math.max(...together.filter((_, i) => i !== mark))).to.be.at.most(6)
    }
  })
})

function layerOf({ spec }: Figure, place: number): Figure['spec'] {
  return (spec as unknown as { layer: Figure['spec'][] }).layer[place]!
}

describe('names in figures', () => {
  /** Every text in a specification outside of data, with the path to it. */
  function texts(node: unknown, path = ''): { readonly path: string; readonly text: string }[] {
    if (typeof node === 'string') return [{ path, text: node }]
    if (typeof node !== 'object' || node === null) return []
    return Object.entries(node).flatMap(([key, value]) => texts(value, `${path}/${key}`))
  }

  it('are data, never part of an expression, a field or a title', () => {
    for (const { name, spec } of drawnFigures(hostileRun())) {
      const named = texts(toPageVega(spec)).filter(
        ({ text }) => text.includes(HOSTILE) || text.includes(QUOTES),
      )
      const elsewhere = named.filter(
        ({ path }) => !/\/data\/\d+\/values\/|\/scales\/\d+\/domain\/\d+$/.test(path),
      )
      expect(
        elsewhere.filter(({ path }) => !ALLOWED.test(path)),
        name,
      ).to.deep.equal([])
    }
  })

  /** The loss's name stands beside an axis, as a plain text that Vega does not evaluate. */
  const ALLOWED = /^\/axes\/\d+\/title$/

  it('are what is drawn', async () => {
    const { spec } = drawn(hostileRun(), 'layers')
    const view = new vega.View(vega.parse(compile(spec).spec), { renderer: 'none' })
    const svg = await view.toSVG()
    view.finalize()
    expect(svg).not.to.include('<img')
    expect(svg).to.include('&lt;img src=x onerror=alert(1)&gt;')
  })

  it('stay what they are in the dark, also where one is a colour', () => {
    const [light, dark] = [...DARK_OF][0]!
    const run = madeUpRun({
      intervals: 5,
      layers: 2,
      layerName: (place) => (place === 0 ? light : 'b'),
      splits: [light],
    })
    const text = JSON.stringify(darkened(drawn(run, 'layers').spec))
    expect(text).to.include(`"layer":"${light}"`)
    expect(text).to.include(`"domain":["${light}"]`)
    expect(text).not.to.include(`"layer":"${dark}"`)
  })
})

describe('the dark theme', () => {
  it('has a colour of its own for every colour of figures', () => {
    expect(new Set(DARK_OF.keys()).size).to.equal(DARK_OF.size)
    for (const { name, spec } of drawnFigures(madeUpRun({ intervals: 20, layers: 12 }))) {
      const colors = JSON.stringify(spec).match(/#[0-9a-f]{6}/g) ?? []
      for (const color of colors) expect(DARK_OF.has(color), `${name} ${color}`).to.equal(true)
    }
  })

  it('leaves no colour of the light one', () => {
    const light = new Set(DARK_OF.keys())
    for (const { name, spec } of drawnFigures(madeUpRun({ intervals: 20, layers: 12 }))) {
      const colors = JSON.stringify(darkened(spec)).match(/#[0-9a-f]{6}/g) ?? []
      for (const color of colors) expect(light.has(color), `${name} ${color}`).to.equal(false)
    }
  })
})
