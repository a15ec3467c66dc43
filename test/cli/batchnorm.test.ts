import { join } from 'node:path'
import { expect } from 'chai'
import { openResults } from '../../src/tables/read.js'
import { newFolder, removeFolders, retrograd, runArguments } from './command.js'
import { normalized } from './normalized.js'

/** val.npz has 300 samples. */
async function run(changes: Record<string, string | undefined>) {
  const out = join(newFolder(), 'out')
  const result = await retrograd(runArguments({ out, steps: '0:1', granularity: 'tensor', ...changes }))
  return { ...result, out }
}

async function tablesOf(changes: Record<string, string | undefined>) {
  const result = await run(changes)
  expect(result.status, result.stderr).to.equal(0)
  const results = await openResults(result.out)
  return { ...result, manifest: results.manifest, steps: (await results.readTable('steps')).columns }
}

describe('retrograd run --batchnorm', () => {
  after(removeFolders)

  it('takes the running statistics unless it is told otherwise, and says so', async () => {
    const model = await normalized()
    const { stdout, manifest, steps } = await tablesOf({ model })
    expect(stdout).to.match(/BatchNorm on the running statistics of each checkpoint/)
    expect(manifest.options.batchnorm).to.equal('running')
    expect(manifest.model.batchnorm).to.equal('running')
    const again = await tablesOf({ model, batchnorm: 'running', 'batch-size': '64' })
    expect(again.steps.loss_from[0]).to.be.closeTo(steps.loss_from[0]!, 1e-6)
  })

  it('takes those of each micro-batch: the size is part of the loss, which its LCA sums to', async () => {
    const model = await normalized()
    const losses: number[] = []
    for (const size of ['300', '64']) {
      const { stdout, stderr, manifest, steps } = await tablesOf({
        model,
        batchnorm: 'batch',
        'batch-size': size,
        tolerance: '1e-4',
      })
      expect(stderr).to.match(
        /BatchNorm takes its statistics from each micro-batch, cut in the order of the data/,
      )
      expect(stdout).to.include(`BatchNorm on the statistics of each micro-batch of ${size} samples`)
      expect(manifest.options).to.include({ batchnorm: 'batch', batch_size: Number(size) })
      expect(manifest.model.batchnorm).to.equal('batch')
      // cutting differently is another loss, not rounding
      expect(manifest.result.noise_floor).to.equal(0)
      expect(Math.abs(steps.residual[0]!)).to.be.at.most(1e-4)
      losses.push(steps.loss_from[0]!)
    }
    expect(Math.abs(losses[0]! - losses[1]!)).to.be.above(1e-5)
  })

  it('needs --batch-size then: exit 2', async () => {
    const result = await run({ model: await normalized(), batchnorm: 'batch' })
    expect(result.status).to.equal(2)
    expect(result.stderr).to.match(
      /--batch-size is missing: BatchNormalization takes its statistics from each/,
    )
  })

  it('refuses a micro-batch of one sample, and names a size that leaves none: exit 2', async () => {
    const model = await normalized()
    const rest = await run({ model, batchnorm: 'batch', 'batch-size': '23' })
    expect(rest.status).to.equal(2)
    expect(rest.stderr).to.match(/--batch-size 23 puts the last of 300 samples of .*val\.npz.*such as 22/)
    const single = await run({ model, batchnorm: 'batch', 'batch-size': '1' })
    expect(single.status).to.equal(2)
    expect(single.stderr).to.match(/puts each sample.*such as 2/)
  })

  it('refuses to pad a fixed batch: exit 1; runs where samples fill it', async () => {
    const fixed = (size: number): Promise<string> =>
      normalized((graph) => ({
        ...graph,
        inputs: graph.inputs.map((input) => ({ ...input, shape: [size, ...input.shape!.slice(1)] })),
      }))
    const refused = await run({ model: await fixed(64), batchnorm: 'batch' })
    expect(refused.status).to.equal(1)
    expect(refused.stderr).to.match(
      /300 samples don't fill micro-batches of 64, and BatchNormalization takes/,
    )
    const { steps } = await tablesOf({ model: await fixed(100), batchnorm: 'batch' })
    const open = await tablesOf({ model: await normalized(), batchnorm: 'batch', 'batch-size': '100' })
    expect(steps.loss_from[0]).to.be.closeTo(open.steps.loss_from[0]!, 1e-6)
  })

  it('has no effect on a network without BatchNormalization, and says so', async () => {
    const plain = await tablesOf({})
    const { stderr, stdout, manifest, steps } = await tablesOf({ batchnorm: 'batch' })
    expect(stderr).to.match(/--batchnorm batch has no effect: the network has no BatchNormalization/)
    expect(stdout).to.not.match(/BatchNorm/)
    expect(manifest.model.batchnorm).to.equal(null)
    expect(steps).to.deep.equal(plain.steps)
  })

  it('knows two kinds: exit 2 for another', async () => {
    const result = await run({ batchnorm: 'train' })
    expect(result.status).to.equal(2)
    expect(result.stderr).to.match(/batchnorm/)
  })
})
