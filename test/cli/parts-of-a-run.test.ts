import { join } from 'node:path'
import { expect } from 'chai'
import { openResults } from '../../src/tables/read.js'
import { newFolder, removeFolders, retrograd, runArguments } from './command.js'

/** Six intervals of the recorded run on its larger data set, one Simpson panel each. */
const RUN = { steps: '20:26', train: 'fixtures/mnist-lenet/train.npz', 'max-splits': '2', tolerance: '1' }

async function run(changes: Readonly<Record<string, string>> = {}) {
  const out = join(newFolder(), 'out')
  const result = await retrograd(runArguments({ ...RUN, ...changes, out }))
  expect(result.status, result.stderr).to.equal(0)
  const results = await openResults(out)
  const [steps, tensors] = [await results.readTable('steps'), await results.readTable('tensors')]
  return { ...result, manifest: results.manifest, steps: steps.columns, tensors: tensors.columns }
}

type Run = Awaited<ReturnType<typeof run>>

/** LCA by interval and tensor. */
function lcaOf({ tensors }: Run): Map<string, number> {
  return new Map(tensors.tensor.map((name, row) => [`${tensors.interval[row]!} ${name}`, tensors.lca[row]!]))
}

describe('a part of the tensors or of the data', function () {
  this.timeout(120_000)
  let whole: Run

  before(async () => {
    whole = await run()
  })
  after(removeFolders)

  it('--tensors allocates what a whole run allocates to them, and says what the others carry', async () => {
    const part = await run({ tensors: 'conv*' })
    expect(new Set(part.tensors.tensor)).to.deep.equal(
      new Set(whole.tensors.tensor.filter((name) => name.startsWith('conv'))),
    )
    const all = lcaOf(whole)
    for (const [key, lca] of lcaOf(part)) expect(lca, key).to.be.closeTo(all.get(key)!, 1e-6)
    part.steps.loss_change.forEach((change, row) => {
      expect(change).to.be.closeTo(whole.steps.loss_change[row]!, 1e-6)
      expect(part.steps.rest[row]).to.equal(change - part.steps.lca[row]!)
      expect(part.steps.residual[row]).to.be.NaN
      expect(whole.steps.rest[row]).to.be.NaN
    })
    expect(part.stdout).to.match(/rest/)
  })

  it('--max-samples gives estimates whose standard errors hold, and says what was drawn', async () => {
    const sampled = await run({ 'max-samples': '240' })
    const [data] = sampled.manifest.data
    expect(data).to.deep.include({
      samples: 240,
      sample: { population: 1000, groups: 8, group_size: 30, seed: 0 },
    })
    expect(sampled.stdout).to.include('a random sample of 240 of 1,000')
    const all = lcaOf(whole)
    const off = sampled.tensors.tensor.map((name, row) => {
      const error = sampled.tensors.lca_se[row]!
      expect(error, name).to.be.above(0)
      return (
        Math.abs(sampled.tensors.lca[row]! - all.get(`${sampled.tensors.interval[row]!} ${name}`)!) / error
      )
    })
    // Student's t of 7 degrees of freedom: 1 in 1000 beyond 5.4; the tensors of an interval share their samples
    expect(Math.max(...off)).to.be.below(8)
    expect(off.filter((t) => t < 2.4).length).to.be.above(0.7 * off.length)
    sampled.steps.loss_change.forEach((change, row) => {
      const error = sampled.steps.loss_change_se[row]!
      expect(Math.abs(change - whole.steps.loss_change[row]!)).to.be.below(8 * error)
    })
  })

  it('draws other samples with another seed, the same with the same', async () => {
    const [a, b, other] = [
      await run({ 'max-samples': '160' }),
      await run({ 'max-samples': '160', workers: '1' }),
      await run({ 'max-samples': '160', seed: '1' }),
    ]
    expect(a.steps).to.deep.equal(b.steps)
    expect(a.steps.loss_to).not.to.deep.equal(other.steps.loss_to)
  })

  it('--quadrature first-order in one part is the first-order term itself', async () => {
    const { steps } = await run({ quadrature: 'first-order', 'max-splits': '1', tolerance: '100' })
    steps.lca.forEach((lca, row) => {
      expect(lca).to.be.closeTo(steps.first_order[row]!, 1e-12)
    })
    expect(new Set(steps.splits)).to.deep.equal(new Set([1]))
  })

  const refused: readonly (readonly [what: string, changes: Record<string, string>, message: RegExp])[] = [
    ['a pattern that fits no tensor', { tensors: 'nothing*' }, /--tensors nothing\*: no weight is called so/],
    ['fewer samples than groups need', { 'max-samples': '9' }, /standard errors need at least 16 samples/],
    [
      'fewer parts than a rule has',
      { quadrature: 'boole', 'max-splits': '2' },
      /boole takes 4 parts at least/,
    ],
    ['an unknown rule', { quadrature: 'romberg' }, /Choices: "simpson"/],
    ['no workers', { workers: '0' }, /--workers 0: a whole number from 1 on/],
  ]
  for (const [what, changes, message] of refused)
    it(`refuses ${what}: exit 2`, async () => {
      const { status, stderr } = await retrograd(
        runArguments({ ...RUN, ...changes, out: join(newFolder(), 'out') }),
      )
      expect(status, stderr).to.equal(2)
      expect(stderr).to.match(message)
    })
})
