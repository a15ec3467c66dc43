import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { BatchTree } from '../../src/batch/tree.js'
import { UsageError } from '../../src/errors.js'
import { entries, useFolder } from '../tables/folder.js'
import { madeUpFacts } from '../tables/made-up.js'
import { rejection } from '../support/rejection.js'

const PLACED = [
  'runs/a/inputs.json',
  'runs/a/manifest.json',
  'steps/run=a/part-00000.parquet',
  'tensors/run=a/part-00000.parquet',
]

/** What a complete replay leaves in a run's folder, as far as moving goes. */
function complete(work: string, tables: readonly string[], content = 'rows'): void {
  for (const table of tables) {
    mkdirSync(join(work, table), { recursive: true })
    writeFileSync(join(work, table, 'part-00000.parquet'), content)
  }
  const sizes = tables.map((name) => ({ name, rows: 1, parts: 1, bytes: content.length }))
  writeFileSync(join(work, 'manifest.json'), JSON.stringify({ ...madeUpFacts(), tables: sizes }))
}

const files = (dir: string): string[] =>
  entries(dir).filter((name) => /\.\w+$/.test(name) && !name.startsWith('.'))

describe('a tree of results', () => {
  const folder = useFolder()

  it('gets a run when it is complete, and nothing is left of its folder', async () => {
    const tree = await BatchTree.open(folder())
    await tree.begin('a', { tolerance: 1 })
    complete(tree.work('a'), ['steps', 'tensors'])
    expect(await tree.finished('a')).to.equal(undefined)
    await tree.place('a')
    expect(await tree.finished('a')).to.deep.equal({ tolerance: 1 })
    await tree.close()
    expect(files(folder())).to.deep.equal(PLACED)
    expect(existsSync(join(folder(), '.runs'))).to.equal(false)
  })

  it('replaces all of older results, tables that are no longer written too', async () => {
    const tree = await BatchTree.open(folder())
    for (const [tables, content] of [
      [['steps', 'tensors', 'units'], 'old'],
      [['steps', 'tensors'], 'new'],
    ] as const) {
      await tree.begin('a', { content })
      complete(tree.work('a'), tables, content)
      await tree.place('a')
    }
    await tree.close()
    expect(files(folder())).to.deep.equal(PLACED)
    expect(readFileSync(join(folder(), 'steps/run=a/part-00000.parquet'), 'utf8')).to.equal('new')
  })

  for (const moved of [0, 1, 2, 3])
    it(`completes a move that was killed after ${moved} of its steps`, async () => {
      const tree = await BatchTree.open(folder())
      await tree.begin('a', {})
      complete(tree.work('a'), ['steps', 'tensors'])
      const steps = [
        ['steps', 'steps/run=a'],
        ['tensors', 'tensors/run=a'],
        ['inputs.json', 'runs/a/inputs.json'],
      ] as const
      for (const [from, to] of steps.slice(0, moved)) {
        mkdirSync(join(folder(), to, '..'), { recursive: true })
        renameSync(join(tree.work('a'), from), join(folder(), to))
      }
      expect(await tree.finished('a')).to.equal(undefined)
      await tree.settle('a')
      await tree.close()
      expect(files(folder())).to.deep.equal(PLACED)
    })

  it('does not take a part of a run for a whole one', async () => {
    const tree = await BatchTree.open(folder())
    complete(tree.work('a'), ['steps'])
    const manifest = join(tree.work('a'), 'manifest.json')
    writeFileSync(manifest, readFileSync(manifest, 'utf8').replace('"complete"', '"part"'))
    await tree.settle('a')
    await tree.close()
    expect(files(folder())).to.deep.equal([])
  })

  it('belongs to one process at a time', async () => {
    const tree = await BatchTree.open(folder())
    expect((await rejection(BatchTree.open(folder()))).message).to.match(/is writing here/)
    await tree.close()
    await (await BatchTree.open(folder())).close()
  })

  it('is not made in the results of a single run, nor in a file', async () => {
    writeFileSync(join(folder(), 'manifest.json'), '{}')
    const taken = await rejection(BatchTree.open(folder()))
    expect(taken).to.be.instanceOf(UsageError)
    expect(taken.message).to.match(/holds the results of a single run; choose another --out/)
    const file = await rejection(BatchTree.open(join(folder(), 'manifest.json')))
    expect(file.message).to.match(/is a file, or lies below one/)
  })
})
