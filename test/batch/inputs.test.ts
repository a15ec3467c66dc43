import { mkdirSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { differences, inputsOf } from '../../src/batch/inputs.js'
import type { RunInputs } from '../../src/batch/inputs.js'
import type { OptionValues } from '../../src/batch/options.js'
import { BATCH_TABLE } from '../../src/cli/batch-options.js'
import { newFolder, removeFolders } from '../cli/command.js'

const FILES = ['c/step-0.pt', 'c/step-1.pt', 'm.onnx', 'm.onnx.data', 't/x.npy', 'other.npz']

function inputsIn(folder: string, options: OptionValues = {}): RunInputs {
  const base = { model: join(folder, 'm.onnx'), train: join(folder, 't'), loss: 'mse', tolerance: 0.1 }
  const run = { name: 'a', where: '', checkpoints: join(folder, 'c'), options: { ...base, ...options } }
  return inputsOf(run, join(folder, 'out'), BATCH_TABLE)
}

function run(): { folder: string; inputs: (options?: OptionValues) => RunInputs } {
  const folder = join(newFolder(), 'archive')
  for (const name of ['.', 'c', 't']) mkdirSync(join(folder, name))
  for (const file of FILES) writeFileSync(join(folder, file), 'abc')
  return { folder, inputs: (options) => inputsIn(folder, options) }
}

describe('what the results of a run were made from', () => {
  after(removeFolders)

  it('is the same while nothing changes, and where everything is moved together', () => {
    const { folder, inputs } = run()
    const before = inputs()
    expect(differences(before, inputs())).to.deep.equal([])
    const moved = join(newFolder(), 'elsewhere')
    renameSync(folder, moved)
    expect(differences(before, inputsIn(moved))).to.deep.equal([])
  })

  it('differs by an option, with both values', () => {
    const { inputs } = run()
    const before = inputs()
    expect(differences(before, inputs({ tolerance: 0.2, scale: 'none' }))).to.have.members([
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
    it(`differs when ${what}`, () => {
      const { folder, inputs } = run()
      const before = inputs()
      change(folder)
      expect(differences(before, inputs())).to.deep.equal([`files of ${option} changed`])
    })

  it('does not depend on files that the run does not read', () => {
    const { folder, inputs } = run()
    const before = inputs()
    writeFileSync(join(folder, 'other.npz'), 'longer')
    expect(differences(before, inputs())).to.deep.equal([])
  })
})
