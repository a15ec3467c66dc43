import { join } from 'node:path'
import { expect } from 'chai'
import { estimate, leastGradients, tableBytes } from '../../src/batch/estimate.js'
import type { Workload } from '../../src/batch/estimate.js'
import { readOptionsOf } from '../../src/cli/batch-options.js'
import { RetrogradError } from '../../src/errors.js'
import { runReplay } from '../../src/replay/run.js'
import { newFolder, removeFolders } from '../cli/command.js'

const RUN = 'fixtures/mnist-lenet'

const WORK: Workload = {
  intervals: 10,
  splits: 2,
  parameters: 1000,
  tensors: 4,
  units: 50,
  dataBytes: 0,
  granularity: 'unit',
  gradients: 2,
  sizing: { workers: 1, threads: 1, keepBytes: 0 },
}

describe('what a replay would take', () => {
  after(removeFolders)

  it('is what it takes, where no interval is cut finer', async () => {
    const options = {
      model: `${RUN}/model.onnx`,
      train: `${RUN}/val.npz`,
      val: [`${RUN}/train.npz`],
      loss: 'cross-entropy',
      steps: '0:2',
      'max-splits': 2,
      granularity: 'parameter',
    }
    const out = join(newFolder(), 'out')
    const run = await readOptionsOf({ name: 'a', where: '', checkpoints: `${RUN}/checkpoints`, options }, out)
    if (run instanceof RetrogradError) throw run
    const guess = await estimate(run)
    const { manifest } = (await runReplay(run, {}))!
    expect(guess).to.include({ checkpoints: 3, intervals: 2, parameters: 11_978 })
    expect(guess.evaluations).to.equal(manifest.result.evaluations)
    const bytes = manifest.tables.reduce((sum, table) => sum + table.bytes, 0)
    expect(guess.bytes / bytes).to.be.within(0.7, 2.5)
    expect(guess.seconds).to.be.greaterThan(0)
  })

  it('is two gradients for each interval and split and one more, and one for the noise floor', () => {
    expect(leastGradients(WORK, false)).to.equal(2 * (2 * 10 + 1))
    expect(leastGradients(WORK, true)).to.equal(2 * (2 * 10 + 2))
  })

  it('takes more on disk the finer the tables are', () => {
    const [tensor, unit, parameter] = (['tensor', 'unit', 'parameter'] as const).map((granularity) =>
      tableBytes({ ...WORK, granularity }),
    )
    expect(unit! - tensor!).to.be.greaterThan(10 * 2 * 50 * 10)
    expect(parameter! - unit!).to.be.greaterThan(10 * 2 * 1000 * 2)
  })
})
