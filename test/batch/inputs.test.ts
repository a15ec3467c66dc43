import { cpSync, mkdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { differences, inputsOf } from '../../src/batch/inputs.js'
import type { OptionValues } from '../../src/batch/options.js'
import { BATCH_TABLE } from '../../src/cli/batch-options.js'
import { newFolder, removeFolders } from '../cli/command.js'

const FILES = ['c/step-0.pt', 'c/step-1.pt', 'm.onnx', 'm.onnx.data', 't/x.npy', 'other.npz']

function run(): { folder: string; inputs: (options?: OptionValues) => ReturnType<typeof inputsOf> } {
  const folder = newFolder()
  for (const name of ['c', 't']) mkdirSync(join(folder, name))
  for (const file of FILES) writeFileSync(join(folder, file), 'abc')
  const base = { model: join(folder, 'm.onnx'), train: join(folder, 't'), loss: 'mse', tolerance: 0.1 }
  const inputs = (options: OptionValues = {}) =>
    inputsOf(
      { name: 'a', where: '', checkpoints: join(folder, 'c'), options: { ...base, ...options } },
      join(folder, 'out'),
      BATCH_TABLE,
    )
  return { folder, inputs }
}

describe('what the results of a run were made from', () => {
  after(removeFolders)

  it('is the same while nothing changes, and where everything is moved together', async () => {
    const { folder, inputs } = run()
    const before = await inputs()
    expect(differences(before, await inputs())).to.deep.equal([])
    const moved = newFolder()
    cpSync(folder, moved, { recursive: true, preserveTimestamps: true })
    const there = await inputsOf(
      {
        name: 'a',
        where: '',
        checkpoints: join(moved, 'c'),
        options: { model: join(moved, 'm.onnx'), train: join(moved, 't'), loss: 'mse', tolerance: 0.1 },
      },
      join(moved, 'out'),
      BATCH_TABLE,
    )
    // copies keep times to the microsecond, which is less than file systems have
    expect(there.checkpoints).to.equal(before.checkpoints)
    expect(there.model).to.equal(before.model)
  })

  it('differs by an option, with both values', async () => {
    const { inputs } = run()
    const before = await inputs()
    expect(differences(before, await inputs({ tolerance: 0.2, scale: 'none' }))).to.have.members([
      'tolerance was 0.1, is 0.2',
      'scale was not given, is none',
    ])
  })

  const CHANGES: readonly (readonly [what: string, option: string, change: (folder: string) => void])[] = [
    [
      'a checkpoint is added',
      'checkpoints',
      (f) => {
        writeFileSync(join(f, 'c/step-2.pt'), '')
      },
    ],
    [
      'a checkpoint is taken away',
      'checkpoints',
      (f) => {
        rmSync(join(f, 'c/step-1.pt'))
      },
    ],
    [
      'a file is written anew',
      'model',
      (f) => {
        utimesSync(join(f, 'm.onnx'), 1, 1)
      },
    ],
    [
      'a file beside the network is longer',
      'model',
      (f) => {
        writeFileSync(join(f, 'm.onnx.data'), 'abcd')
      },
    ],
    [
      'a file in the folder of the data is longer',
      'train',
      (f) => {
        writeFileSync(join(f, 't/x.npy'), 'abcd')
      },
    ],
  ]
  for (const [what, option, change] of CHANGES)
    it(`differs when ${what}`, async () => {
      const { folder, inputs } = run()
      const before = await inputs()
      change(folder)
      expect(differences(before, await inputs())).to.deep.equal([`files of ${option} changed`])
    })

  it('does not depend on files that the run does not read', async () => {
    const { folder, inputs } = run()
    const before = await inputs()
    writeFileSync(join(folder, 'other.npz'), 'longer')
    expect(differences(before, await inputs())).to.deep.equal([])
  })
})
