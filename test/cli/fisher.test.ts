import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { GraphBuilder } from '../../src/onnx/builder.js'
import { readModel } from '../../src/onnx/read.js'
import { encodeModel } from '../../src/onnx/write.js'
import { openArchive, openResults } from '../../src/tables/read.js'
import { newFolder, removeFolders, retrograd, runArguments } from './command.js'
import { normalized } from './normalized.js'

/** The demo's network with a loss that is one number: the mean of its squared logits. */
async function withScalarLoss(): Promise<string> {
  const graph = await readModel('fixtures/mnist-lenet/model.onnx')
  const builder = new GraphBuilder(graph)
  const squares = builder.mul('logits', 'logits')
  const loss = builder.add('ReduceMean', [squares], { keepdims: 0 })
  const path = join(newFolder(), 'model.onnx')
  writeFileSync(path, encodeModel(builder.finish(graph.inputs, new Map([['loss', loss]]))))
  return path
}

describe('retrograd run --fisher-samples', function () {
  this.timeout(120_000)
  after(removeFolders)

  it('fills the column fisher on every split, and says so', async () => {
    const out = join(newFolder(), 'out')
    const changes = { val: 'fixtures/mnist-lenet/train.npz', steps: '59:60', 'fisher-samples': '400' }
    const { status, stderr } = await retrograd(runArguments({ ...changes, seed: '7', out }))
    expect(status, stderr).to.equal(0)
    expect(stderr).to.include('all 300 samples of train, 400 of 1000 samples of val')
    const results = await openResults(out)
    const { columns } = await results.readTable('totals')
    for (const value of columns.fisher) expect(value).to.be.at.least(0)
    const sums = ['train', 'val'].map((name) =>
      columns.fisher.reduce((sum, value, row) => sum + (columns.split[row] === name ? value : 0), 0),
    )
    // the network has memorised some of what it was trained on (here: val), whose gradients are smaller
    expect(sums[1]).to.be.above(0).and.below(sums[0]!)
    expect(results.manifest.options).to.include({ fisher_samples: 400, fisher_seed: 7 })
    expect(results.manifest.data.map((data) => data.fisher_samples)).to.deep.equal([300, 400])
  })

  it('is an option of batches too', async () => {
    const folder = newFolder()
    const run = join(process.cwd(), 'fixtures/mnist-lenet')
    writeFileSync(
      join(folder, 'batch.yaml'),
      JSON.stringify({
        out: join(folder, 'out'),
        defaults: {
          model: `${run}/model.onnx`,
          train: `${run}/val.npz`,
          loss: 'cross-entropy',
          steps: '58:60',
        },
        runs: [
          { name: 'with', checkpoints: `${run}/checkpoints`, 'fisher-samples': 32 },
          { name: 'without', checkpoints: `${run}/checkpoints` },
        ],
      }),
    )
    const { status, stderr } = await retrograd(['batch', join(folder, 'batch.yaml')])
    expect(status, stderr).to.equal(0)
    const { runs } = await openArchive(join(folder, 'out'))
    const samples = [...runs].map(([name, { manifest }]) => [name, manifest.options.fisher_samples])
    expect(samples).to.have.deep.members([
      ['with', 32],
      ['without', null],
    ])
  })

  const refused: readonly (readonly [
    what: string,
    changes: () => Promise<Record<string, string | undefined>> | Record<string, string | undefined>,
    message: RegExp,
  ])[] = [
    [
      'no samples',
      () => ({ 'fisher-samples': '0' }),
      /--fisher-samples 0: a whole number from 1 on is needed/,
    ],
    ['half a sample', () => ({ 'fisher-samples': '1.5' }), /--fisher-samples 1\.5: a whole number/],
    [
      'statistics of the micro-batch',
      async () => ({ model: await normalized(), batchnorm: 'batch', 'batch-size': '100' }),
      /--fisher-samples 50: BatchNormalization takes its statistics from the whole micro-batch, .*use --batchnorm running/,
    ],
    [
      'a loss of the micro-batch',
      async () => ({ model: await withScalarLoss(), loss: 'output:loss' }),
      /--fisher-samples 50: the loss is one number for its whole micro-batch, .*a value for each sample/,
    ],
    [
      'a part of a run',
      () => ({ steps: undefined, intervals: '0:32' }),
      /--fisher-samples 50: .* the run's last checkpoint, .*without --intervals/,
    ],
  ]
  for (const [what, changes, message] of refused)
    it(`refuses ${what}: exit 2`, async () => {
      const out = join(newFolder(), 'out')
      const options = { 'fisher-samples': '50', ...(await changes()), out }
      const { status, stderr } = await retrograd(runArguments(options))
      expect(status, stderr).to.equal(2)
      expect(stderr).to.match(message)
    })
})
