import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { configOfFolders, readBatchFile } from '../../src/batch/config.js'
import { planBatch } from '../../src/batch/plan.js'
import type { Given, Plan } from '../../src/batch/plan.js'
import { UsageError } from '../../src/errors.js'
import { BATCH_TABLE } from '../../src/cli/batch-options.js'
import { newFolder, removeFolders } from '../cli/command.js'
import { rejection } from '../support/rejection.js'

const NEEDED = { train: 't.npz', loss: 'mse' }

function archive(...runs: string[]): string {
  const folder = newFolder()
  for (const run of runs) {
    mkdirSync(join(folder, run), { recursive: true })
    for (const step of [0, 1]) writeFileSync(join(folder, run, `step-${step}.pt`), '')
  }
  return folder
}

async function planOf(folder: string, text: string, given: Given = { options: {} }): Promise<Plan> {
  writeFileSync(join(folder, 'batch.yaml'), text)
  return planBatch(await readBatchFile(join(folder, 'batch.yaml'), BATCH_TABLE), given, BATCH_TABLE)
}

describe('the plan of a batch', () => {
  after(removeFolders)

  it("takes a run's own options over overrides, those over its place's, those over the command line's, those over defaults", async () => {
    const plan = await planOf(
      archive('a', 'b', 'x'),
      [
        'out: o',
        'defaults: {train: t.npz, loss: mse, tolerance: 1, max-splits: 2}',
        'find: [{path: a, granularity: tensor, tolerance: 3}, b]',
        'overrides: [{match: "?", tolerance: 4}, {match: b, scale: none}]',
        'runs: [{checkpoints: x, tolerance: 5}]',
      ].join('\n'),
      { options: { 'max-splits': 8, tolerance: 2 } },
    )
    expect(
      plan.runs.map(({ name, options }) => [
        name,
        options.tolerance,
        options['max-splits'],
        options.granularity,
      ]),
    ).to.have.deep.members([
      ['x', 5, 8, undefined],
      ['a', 4, 8, 'tensor'],
      ['b', 4, 8, undefined],
    ])
  })

  it("keeps a place's options where nothing else says otherwise, over the command line's", async () => {
    const plan = await planOf(
      archive('a'),
      'out: o\ndefaults: {train: t, loss: mse}\nfind: {path: a, tolerance: 3}',
      { options: { tolerance: 2 } },
    )
    expect(plan.runs[0]!.options.tolerance).to.equal(3)
  })

  it("reads paths from the file's folder, absolute ones as they are, and no path out of other text", async () => {
    const folder = archive('a')
    const { runs, out } = await planOf(
      folder,
      'out: o\nfind: a\ndefaults: {train: d/t.npz, val: [v.npz, test=w.npz], loss: "output:x.onnx", map: /m.json, class-weights: "1,2"}',
    )
    expect(out).to.equal(join(folder, 'o'))
    expect(runs[0]!.checkpoints).to.equal(join(folder, 'a'))
    expect(runs[0]!.options).to.deep.equal({
      train: join(folder, 'd/t.npz'),
      val: [join(folder, 'v.npz'), `test=${join(folder, 'w.npz')}`],
      loss: 'output:x.onnx',
      map: '/m.json',
      'class-weights': '1,2',
    })
  })

  it("{run} is the run's folder, around one called checkpoints, and {name} its name", async () => {
    const folder = archive('a/checkpoints', 'b')
    const options = { ...NEEDED, model: '{run}/model.onnx', map: 'maps/{name}.json' }
    const { runs } = await planBatch(configOfFolders([folder]), { options, out: 'o' }, BATCH_TABLE)
    expect(runs.map(({ name, options: { model, map } }) => [name, model, map])).to.deep.equal([
      ['a', join(folder, 'a/model.onnx'), 'maps/a.json'],
      ['b', join(folder, 'b/model.onnx'), 'maps/b.json'],
    ])
  })

  it('refuses two runs of one name and says how to name them', async () => {
    const [first, second] = [archive('a'), archive('A')]
    const error = await rejection(
      planBatch(configOfFolders([first, second]), { options: NEEDED, out: 'o' }, BATCH_TABLE),
    )
    expect(error).to.be.instanceOf(UsageError)
    expect(error.message).to.match(
      /two runs would be called A: .*runs: \[\{name: \.\.\., checkpoints: \.\.\.\}\]/,
    )
    const named = `out: o\ndefaults: {train: t, loss: mse}\nfind: [{path: ${first}}, {path: ${second}, name: "second-{name}"}]`
    expect((await planOf(newFolder(), named)).runs.map(({ name }) => name)).to.deep.equal(['a', 'second-A'])
  })

  it('takes 7 and 007 for one name, as readers of the tables do', async () => {
    const plan = planBatch(configOfFolders([archive('7', '007')]), { options: NEEDED, out: 'o' }, BATCH_TABLE)
    expect((await rejection(plan)).message).to.match(/two runs would be called/)
  })

  it('leaves out what overrides skip', async () => {
    const { runs } = await planOf(
      archive('a', 'b'),
      'out: o\nfind: .\ndefaults: {train: t, loss: mse}\noverrides: [{match: b, skip: true}]',
    )
    expect(runs.map(({ name }) => name)).to.deep.equal(['a'])
  })

  it('refuses an override that fits no run', async () => {
    const error = await rejection(
      planOf(archive('a'), 'out: o\nfind: .\ndefaults: {train: t, loss: mse}\noverrides: [{match: z*}]'),
    )
    expect(error.message).to.match(/batch\.yaml:4: no run is called z\*; runs are a$/)
  })

  it('refuses a run without an option that it needs, and a batch without a folder for results', async () => {
    const missing = await rejection(planOf(archive('a'), 'out: o\nfind: .\ndefaults: {train: t}'))
    expect(missing.message).to.match(/^run a .*: loss is missing: give --loss, or put it under defaults/)
    const nowhere = await rejection(
      planBatch(configOfFolders([archive('a')]), { options: NEEDED }, BATCH_TABLE),
    )
    expect(nowhere.message).to.match(/^--out is missing/)
  })
})
