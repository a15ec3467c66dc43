import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import type { Finding } from '../../src/analysis/model.js'
import { denseLayers, noiseRun, writeRun } from '../analysis/made-run.js'
import { useFolder } from '../tables/folder.js'
import { retrograd } from './command.js'

const HOSTILE = '<img src=x onerror=alert(1)>'

describe('retrograd report and figures', () => {
  const folder = useFolder()
  const at = (...names: string[]): string => join(folder(), ...names)

  /** A run whose layers help, the last one's name an attack on pages and terminals. */
  beforeEach(async () => {
    mkdirSync(at('results'))
    const noise = noiseRun('report', 40, denseLayers(['first', `last${HOSTILE}\u001b[31m`], 4, 3))
    await writeRun(at('results'), { ...noise, lca: (...place) => noise.lca(...place) - 3e-4 })
  })

  /** The results as a tree of two runs, as `retrograd batch` lays them out. */
  function asTree(): string {
    for (const run of ['one', 'two']) {
      for (const table of readdirSync(at('results'))) {
        if (table === 'manifest.json') continue
        mkdirSync(at('tree', table, `run=${run}`), { recursive: true })
        for (const part of readdirSync(at('results', table)))
          writeFileSync(at('tree', table, `run=${run}`, part), readFileSync(at('results', table, part)))
      }
      mkdirSync(at('tree', 'runs', run), { recursive: true })
      writeFileSync(at('tree', 'runs', run, 'manifest.json'), readFileSync(at('results', 'manifest.json')))
    }
    return at('tree')
  }

  describe('report', () => {
    it('writes one page and the specifications of its figures, and prints where and what it found', async () => {
      const out = at('pages', 'report.html')
      const { status, stdout, stderr } = await retrograd(['report', at('results'), '--out', out])
      expect([status, stderr]).to.deep.equal([0, ''])
      expect(stdout).to.contain(out)
      expect(stdout).not.to.contain('\u001b')
      const page = readFileSync(out, 'utf8')
      expect(page).to.match(/^<!doctype html>[^]*<h1>results<\/h1>[^]*<\/html>\s*$/)
      expect(page).not.to.contain('<img')
      // nothing is loaded: the only addresses are those of links, pictures in text, and names of formats
      expect(page).not.to.match(/<(script|link|img|iframe)[^>]+(src|href)="?(https?:)?\/\//)
      const specifications = readdirSync(at('pages', 'figures'))
      expect(stdout).to.contain(`${specifications.length} specifications`)
      for (const file of specifications) {
        const spec = JSON.parse(readFileSync(at('pages', 'figures', file), 'utf8')) as { $schema: string }
        expect(spec.$schema, file).to.match(/vega-lite\/v6/)
      }
      expect(specifications).to.include.members(['loss.vl.json', 'layers.vl.json', 'units.vl.json'])
    })

    it('writes the same bytes again, and replaces files only where that is asked for', async () => {
      const out = at('report.html')
      const args = ['report', at('results'), '--out', out, '--no-figures']
      expect((await retrograd(args)).status).to.equal(0)
      expect(existsSync(at('figures'))).to.equal(false)
      const before = readFileSync(out)
      const again = await retrograd(args)
      expect(again.status).to.equal(2)
      expect(again.stderr).to.match(/report\.html exists: choose another --out, or give --overwrite\n$/)
      expect((await retrograd([...args, '--overwrite'])).status).to.equal(0)
      expect(readFileSync(out).equals(before)).to.equal(true)
    })

    it('prints JSON for programs', async () => {
      const { stdout } = await retrograd(['report', at('results'), '--out', at('r.html'), '--json'])
      const { out, figures, findings } = JSON.parse(stdout) as {
        out: string
        figures: string[]
        findings: Finding[]
      }
      expect(out).to.equal(at('r.html'))
      expect(figures.every((path) => existsSync(path))).to.equal(true)
      expect(findings).to.be.an('array')
    })

    it('reports on one run of a tree, and names the runs where none is chosen', async () => {
      const tree = asTree()
      const open = await retrograd(['report', tree, '--out', at('r.html')])
      expect([open.status, open.stderr]).to.deep.equal([
        2,
        `retrograd: ${tree} holds several runs; choose one with --run: one, two\n`,
      ])
      const wrong = await retrograd(['report', tree, '--run', 'three', '--out', at('r.html')])
      expect(wrong.status).to.equal(1)
      expect(wrong.stderr).to.match(/holds no finished run three, only one, two/)
      const two = await retrograd(['report', tree, '--run', 'two', '--out', at('r.html')])
      expect(two.status, two.stderr).to.equal(0)
      expect(readFileSync(at('r.html'), 'utf8')).to.contain('<h1>two</h1>')
    })

    it('refuses what is no results folder, and a path that it can not write', async () => {
      const none = await retrograd(['report', folder(), '--out', at('r.html')])
      expect([none.status, none.stderr]).to.deep.equal([
        1,
        `retrograd: ${folder()} holds no finished results (no manifest.json); name the folder that was given as --out\n`,
      ])
      const taken = await retrograd(['report', at('results'), '--out', at('results'), '--overwrite'])
      expect(taken.status).to.equal(2)
      expect(taken.stderr).to.match(/results is no file: choose another --out/)
      writeFileSync(at('file'), '')
      const below = await retrograd(['report', at('results'), '--out', at('file', 'r.html')])
      expect(below.status).to.equal(2)
      expect(below.stderr).to.match(/cannot write .*r\.html: .*; choose another --out/)
    })

    it('needs no table of units', async () => {
      rmSync(at('results', 'units'), { recursive: true })
      const manifest = JSON.parse(readFileSync(at('results', 'manifest.json'), 'utf8')) as {
        tables: { name: string }[]
      }
      const tables = manifest.tables.filter(({ name }) => name !== 'units')
      writeFileSync(at('results', 'manifest.json'), JSON.stringify({ ...manifest, tables }))
      const { status, stderr } = await retrograd(['report', at('results'), '--out', at('r.html')])
      expect(status, stderr).to.equal(0)
      expect(readFileSync(at('r.html'), 'utf8')).to.contain('--granularity unit writes them')
      expect(readdirSync(at('figures'))).not.to.include('units.vl.json')
    })
  })

  describe('figures', () => {
    it('draws them as SVG, names from files escaped', async () => {
      const { status, stdout } = await retrograd(['figures', at('results'), '--out', at('drawn')])
      expect(status).to.equal(0)
      const drawn = readdirSync(at('drawn'))
      expect(stdout.trim().split('\n')).to.have.members(drawn.map((file) => at('drawn', file)))
      expect(drawn).to.include.members(['loss.svg', 'layers.svg'])
      for (const file of drawn) {
        const svg = readFileSync(at('drawn', file), 'utf8')
        expect(svg, file).to.match(/^<svg[^]*<\/svg>$/)
        expect(svg, file).not.to.contain('<img')
      }
      expect(readFileSync(at('drawn', 'layers.svg'), 'utf8')).to.contain('last&lt;img src=x')
    })

    it('draws those that are named, in a theme, as specifications too', async () => {
      const args = [
        'figures',
        at('results'),
        '--out',
        at('drawn'),
        '--only',
        'layers,loss',
        '--format',
        'vl.json',
      ]
      const { status, stdout } = await retrograd([...args, '--theme', 'dark'])
      expect(status).to.equal(0)
      expect(stdout).to.equal(`${at('drawn', 'loss.vl.json')}\n${at('drawn', 'layers.vl.json')}\n`)
      const { background } = JSON.parse(readFileSync(at('drawn', 'loss.vl.json'), 'utf8')) as {
        background: string
      }
      expect(background).to.equal('#15181d')
    })

    it('draws PNG of the size asked for', async function () {
      // an optional package, which npm leaves out where it does not run
      if (!existsSync('node_modules/canvas')) this.skip()
      const args = [
        'figures',
        at('results'),
        '--out',
        at('drawn'),
        '--only',
        'loss',
        '--format',
        'png',
        '--scale',
        '3',
      ]
      const { status, stderr } = await retrograd(args)
      expect(status, stderr).to.equal(0)
      const png = readFileSync(at('drawn', 'loss.png'))
      expect(png.subarray(1, 4).toString()).to.equal('PNG')
      // three times the 720 pixels of the plot, and the axis beside it
      expect(png.readUInt32BE(16)).to.be.within(3 * 720, 3 * 850)
    })

    it('says that PNG needs the optional package where that is not installed', async () => {
      // a copy of the bundle that finds every library but this one
      const { status, stderr } = await retrograd(
        ['figures', at('results'), '--out', at('drawn'), '--only', 'loss', '--format', 'png'],
        { env: { NODE_OPTIONS: `--import=${hidingCanvas()}` } },
      )
      expect(status).to.equal(2)
      expect(stderr).to.match(/^retrograd: pictures as PNG need the package canvas, .* --format svg\n$/)
      expect(existsSync(at('drawn'))).to.equal(false)
    })

    /** A module that makes the import of canvas fail as it does where it is not installed. */
    function hidingCanvas(): string {
      writeFileSync(
        at('hooks.mjs'),
        `export async function resolve(name, context, next) {
          if (name === 'canvas') throw Object.assign(new Error('not installed'), { code: 'ERR_MODULE_NOT_FOUND' })
          return next(name, context)
        }`,
      )
      writeFileSync(
        at('hide.mjs'),
        `import { register } from 'node:module'; register('./hooks.mjs', import.meta.url)`,
      )
      return at('hide.mjs')
    }

    it('says what is not drawn, and why', async () => {
      renameSync(at('results'), at('other'))
      mkdirSync(at('results'))
      const noise = noiseRun('short', 2, denseLayers(['only'], 1, 2))
      await writeRun(at('results'), noise)
      const { status, stderr } = await retrograd(['figures', at('results'), '--out', at('drawn')])
      expect(status).to.equal(0)
      expect(stderr).to.match(/· no figure units: No tensor has more than one unit\./)
    })

    it('refuses names that are none, and scales that are none', async () => {
      const misspelt = await retrograd([
        'figures',
        at('results'),
        '--only',
        'loss,layer',
        '--out',
        at('drawn'),
      ])
      expect([misspelt.status, misspelt.stderr]).to.deep.equal([
        2,
        'retrograd: --only layer: there is no such figure; did you mean layers?\n',
      ])
      const scale = await retrograd(['figures', at('results'), '--scale', '0', '--out', at('drawn')])
      expect(scale.status).to.equal(2)
      expect(scale.stderr).to.match(/--scale 0: a number above 0, at most 10, is needed/)
      const format = await retrograd(['figures', at('results'), '--format', 'pdf', '--out', at('drawn')])
      expect(format.status).to.equal(2)
      expect(format.stderr).to.match(/vl\.json/)
    })
  })
})
