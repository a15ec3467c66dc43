import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import type { Comparison } from '../../src/analysis/compare.js'
import { denseLayers, noiseRun, writeRun } from '../analysis/made-run.js'
import { useFolder } from '../tables/folder.js'
import { retrograd } from './command.js'

const LAYERS = denseLayers(['first', 'last\u001b[31m'], 2, 2)

describe('retrograd compare', () => {
  const folder = useFolder()
  const at = (name: string): string => join(folder(), name)
  const make = (name: string, intervals = 30): Promise<unknown> => {
    mkdirSync(at(name), { recursive: true })
    const noise = noiseRun(name, intervals, LAYERS)
    return writeRun(at(name), { ...noise, lca: (...place) => noise.lca(...place) - 3e-4 })
  }

  it('prints runs side by side, with names that are safe to print', async () => {
    await make('a')
    await make('b', 40)
    const { status, stdout } = await retrograd(['compare', at('a'), at('b')])
    expect(status).to.equal(0)
    expect(stdout).to.contain('2 runs on train, over the steps they have in common: step 0 to 30')
    expect(stdout).to.match(/LCA +a +b/)
    expect(stdout).to.match(/first +[+-]?\d/)
    expect(stdout).to.contain('last\\u001b[31m')
    expect(stdout).not.to.contain('\u001b')
    expect(stdout).to.contain('no finding: the data carry none')
  })

  it('prints JSON for programs', async () => {
    await make('x/results')
    await make('y/results')
    const { stdout } = await retrograd([
      'compare',
      at('x/results'),
      at('y/results'),
      '--by',
      'loss',
      '--json',
    ])
    const { runs, layers, by } = JSON.parse(stdout) as Comparison
    expect(by).to.equal('loss')
    expect(runs.map(({ name }) => name)).to.deep.equal(['x/results', 'y/results'])
    expect(layers).to.have.length(2)
  })

  it('refuses one run, an unknown split and folders without results', async () => {
    await make('alone')
    const one = await retrograd(['compare', at('alone')])
    expect([one.status, one.stderr]).to.deep.equal([
      2,
      'retrograd: compare needs two runs or more: name several results folders, or a tree of runs\n',
    ])
    const split = await retrograd(['compare', at('alone'), at('alone'), '--split', 'test'])
    expect(split.status).to.equal(2)
    expect(split.stderr).to.contain('has no split test, only train, val')
    const none = await retrograd(['compare', at('alone'), folder()])
    expect(none.status).to.equal(1)
    expect(none.stderr).to.contain('holds no finished runs')
  })
})
