import {
  appendFileSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join, resolve } from 'node:path'
import { expect } from 'chai'
import { encodeModel } from '../../src/onnx/write.js'
import type { ManifestFacts } from '../../src/tables/manifest.js'
import { openResults } from '../../src/tables/read.js'
import type { Batch, Granularity, TableName } from '../../src/tables/schema.js'
import { ResultsWriter } from '../../src/tables/writer.js'
import type { Verification } from '../../src/verify/model.js'
import { graphOf, input, node } from '../support/graphs.js'
import { newFolder, removeFolders, retrograd, runArguments } from './command.js'
import { normalized } from './normalized.js'

const FIXTURE = resolve('fixtures/mnist-lenet')
/** What PyTorch gives in float64 for the recorded checkpoints. */
const LOSSES = (
  JSON.parse(readFileSync(join(FIXTURE, 'expected.json'), 'utf8')) as { loss: Record<string, number[]> }
).loss.val!

async function run(changes: Readonly<Record<string, string | undefined>>, cwd?: string): Promise<string> {
  const out = join(newFolder(), 'out')
  const args = runArguments({ granularity: 'tensor', out, ...changes })
  const { status, stderr } = await retrograd(args, cwd === undefined ? {} : { cwd })
  expect(status, stderr).to.be.oneOf([0, 4])
  return out
}

async function verified(
  folder: string,
  ...args: string[]
): Promise<Verification & { status: number | null }> {
  const { status, stdout, stderr } = await retrograd(['verify', folder, '--json', ...args])
  expect(stdout, stderr).not.to.equal('')
  return { status, ...(JSON.parse(stdout) as Verification) }
}

async function refused(args: readonly string[], message: RegExp, exit = 2): Promise<void> {
  const { status, stdout, stderr } = await retrograd(['verify', ...args])
  expect(stderr).to.match(message)
  expect({ status, stdout }).to.deep.equal({ status: exit, stdout: '' })
}

/** The results with rows changed on their way into another folder. */
async function rewritten(
  folder: string,
  change: (table: TableName, rows: Record<string, unknown>) => void,
): Promise<string> {
  const results = await openResults(folder)
  const facts: ManifestFacts = results.manifest
  const out = join(newFolder(), 'changed')
  const granularity = results.manifest.options.granularity as Granularity
  const writer = await ResultsWriter.create(out, { granularity, overwrite: false, facts })
  for (const table of results.tables)
    for await (const { rows, columns } of results.batches(table)) {
      change(table, columns)
      writer.append(table, rows, columns)
    }
  await writer.commit(facts)
  return out
}

/** Names, sizes and times of all files of a folder. */
function state(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .sort()
    .map((name) => `${name} ${statSync(join(folder, name)).size} ${statSync(join(folder, name)).mtimeMs}`)
}

/** What verify left in the folder of temporary files, where ONNX Runtime may have files of its own. */
function leftIn(folder: string): string[] {
  return readdirSync(folder).filter((name) => name.includes('retrograd'))
}

describe('retrograd verify', function () {
  this.timeout(120_000)
  after(removeFolders)
  let results: string
  before(async () => {
    results = await run({ steps: '0:4', granularity: 'parameter' })
  })

  it('agrees with a sound run, changes nothing and leaves nothing behind', async () => {
    const before = state(results)
    const temporary = newFolder()
    const { status, stdout, stderr } = await retrograd(['verify', results], { env: { TMPDIR: temporary } })
    expect(status, stderr).to.equal(0)
    expect(stdout)
      .to.match(/4 of 4 intervals computed again/)
      .and.match(/agrees: nothing is farther off than/)
    expect(stdout).to.match(/parameters +0\.99\d+/)
    expect(stderr).to.match(/computed on cpu by onnxruntime, as the results were/)
    expect(leftIn(temporary)).to.deep.equal([])
    expect(state(results)).to.deep.equal(before)
  })

  it("finds PyTorch's losses again, in finer parts and with smaller residuals", async () => {
    const { status, verdict, intervals, of, computed } = await verified(results, '--intervals', '1,3')
    expect({ status, verdict, of }).to.deep.equal({ status: 0, verdict: 'agrees', of: 4 })
    expect(computed).to.deep.equal({ engine: 'onnxruntime', device: 'cpu', sameAsResults: true })
    expect(intervals.map(({ interval }) => interval)).to.deep.equal([1, 3])
    for (const { interval, parts, splits, distance, reproduced } of intervals) {
      // the same engine, micro-batches and points: equal in every bit
      expect(reproduced).to.equal(0)
      expect(parts.stored).to.equal(2)
      expect(parts.recomputed).to.be.at.least(8)
      expect(distance).to.be.above(0).and.at.most(1e-4)
      const [split] = splits
      expect(split!.lossFrom.recomputed).to.be.closeTo(LOSSES[interval]!, 2e-6)
      expect(split!.lossTo.recomputed).to.be.closeTo(LOSSES[interval + 1]!, 2e-6)
      expect(split!.units!.values).to.equal(8 + 8 + 16 + 16 + 32 + 32 + 10 + 10)
      expect(split!.parameters!.values).to.equal(11_978)
      expect(split!.parameters!.correlation).to.be.above(0.999)
    }
  })

  it('finds a changed LCA of a tensor and names interval and tensor: exit 4', async () => {
    const changed = await rewritten(results, (table, columns) => {
      if (table !== 'tensors') return
      const { tensor, interval, lca } = columns as unknown as Batch<'tensors'> & {
        tensor: string[]
        interval: Int32Array
        lca: Float64Array
      }
      const row = tensor.findIndex((name, i) => name === 'fc1.weight' && interval[i] === 2)
      lca[row]! += 0.01
    })
    const { status, stdout } = await retrograd(['verify', changed])
    expect(status).to.equal(4)
    expect(stdout).to.match(
      /interval 2 \(step 2 to 3\): lca of fc1\.weight on train is off by 1\.0e-2; in the run's own parts by 1\.0e-2/,
    )
    expect(stdout).to.match(/damaged: interval 2 on train: lca of steps is not the sum of lca of tensors/)
    const found = await verified(changed, '--intervals', 'all')
    expect(found.intervals.map(({ verdict }) => verdict)).to.deep.equal([
      'agrees',
      'agrees',
      'differs',
      'agrees',
    ])
    // what is not recomputed is found by its sums
    const elsewhere = await verified(changed, '--intervals', '0:1')
    expect(elsewhere).to.deep.include({ status: 4, verdict: 'differs' })
    expect(elsewhere.intervals.map(({ verdict }) => verdict)).to.deep.equal(['agrees'])
  })

  it('finds a changed parameter and a changed loss', async () => {
    const parameter = await rewritten(results, (table, columns) => {
      if (table === 'parameters') (columns.lca as Float32Array[])[0]![7]! -= 0.5
    })
    const one = await verified(parameter, '--intervals', '0:1')
    expect(one).to.deep.include({ status: 4, verdict: 'differs' })
    expect(one.contradictions.map(({ what }) => what)).to.deep.equal([
      'lca of conv1.weight is not the sum of its parameters',
    ])
    expect(one.intervals[0]!.where).to.equal('lca of parameter 7 of conv1.weight on train')
    const loss = await rewritten(results, (table, columns) => {
      if (table === 'steps') (columns.loss_to as Float64Array)[3]! += 0.25
    })
    const two = await verified(loss, '--intervals', '3:4')
    expect(two.intervals[0]).to.deep.include({ verdict: 'differs', where: 'loss at its end on train' })
    expect(two.intervals[0]!.distance).to.be.closeTo(0.25, 1e-9)
  })

  it('tells that a first-order run is off by its residuals, and imprecise, not other numbers: exit 4', async () => {
    const rough = await run({
      steps: '38:40',
      quadrature: 'first-order',
      'max-splits': '1',
      tolerance: '1e-3',
    })
    const { status, verdict, intervals } = await verified(rough)
    expect({ status, verdict }).to.deep.equal({ status: 4, verdict: 'imprecise' })
    for (const { splits, reproduced } of intervals) {
      expect(reproduced).to.equal(0)
      const { lca, residual } = splits[0]!
      expect(Math.abs(residual.recomputed)).to.be.below(0.05 * Math.abs(residual.stored))
      expect((lca.stored - lca.recomputed) / residual.stored).to.be.closeTo(1, 0.05)
    }
  })

  it('refuses another network, other data and other checkpoints, naming them: exit 2', async () => {
    const model = join(newFolder(), 'model.onnx')
    cpSync(join(FIXTURE, 'model.onnx'), model)
    await refused(
      [results, '--model', join(FIXTURE, 'train.npz')],
      /train\.npz is not what the results were made from.*--model/,
    )
    appendFileSync(model, Buffer.from([0]))
    await refused([results, '--model', model], /model\.onnx is not what .* SHA-256/)
    await refused(
      [results, '--train', join(FIXTURE, 'train.npz')],
      /train\.npz is not what the results were made from/,
    )
    await refused([results, '--val', 'other=x.npz'], /no data set of that name, only train/)
    const checkpoints = join(newFolder(), 'checkpoints')
    cpSync(join(FIXTURE, 'checkpoints'), checkpoints, { recursive: true })
    cpSync(join(checkpoints, 'step-000009.safetensors'), join(checkpoints, 'step-000003.safetensors'))
    await refused(
      [results, '--checkpoints', checkpoints],
      /step-000003\.safetensors is not the checkpoint that the results were made from/,
    )
    await refused([results, '--intervals', '4:6'], /--intervals 4: the results hold the intervals 0 to 3/)
    await refused([results, '--intervals', '3,x'], /which: 3,17,40:44/)
    await refused([newFolder()], /holds no finished results/, 1)
  })

  it('finds what moved together, and takes what moved elsewhere from options', async () => {
    const project = join(newFolder(), 'project')
    mkdirSync(project)
    for (const name of ['model.onnx', 'val.npz']) cpSync(join(FIXTURE, name), join(project, name))
    mkdirSync(join(project, 'checkpoints'))
    for (const step of [0, 1, 2])
      cpSync(
        join(FIXTURE, 'checkpoints', `step-00000${step}.safetensors`),
        join(project, 'checkpoints', `step-00000${step}.safetensors`),
      )
    const paths = { checkpoints: 'checkpoints', model: 'model.onnx', train: 'val.npz', steps: undefined }
    await run({ ...paths, out: 'runs/results' }, project)
    const moved = join(newFolder(), 'elsewhere')
    renameSync(project, moved)
    const folder = join(moved, 'runs', 'results')
    expect((await verified(folder)).status).to.equal(0)
    // checkpoints that were recorded since are no part of the run
    cpSync(
      join(FIXTURE, 'checkpoints/step-000003.safetensors'),
      join(moved, 'checkpoints/step-000003.safetensors'),
    )
    expect((await verified(folder, '--intervals', '1')).status).to.equal(0)
    renameSync(join(moved, 'val.npz'), join(moved, 'images.npz'))
    await refused(
      [folder],
      /val\.npz, from which .* was made, is not there any more: say where it is now with --train/,
    )
    expect(
      (await verified(folder, '--intervals', '1', '--train', join(moved, 'images.npz'))).status,
    ).to.equal(0)
  })

  it('verifies what was restricted to some tensors, and what was sampled', async () => {
    const restricted = await run({ steps: '0:2', tensors: 'conv*' })
    const some = await verified(restricted)
    expect(some).to.deep.include({ status: 0, verdict: 'agrees' })
    expect(some.intervals[0]!.splits[0]!.residual).to.deep.equal({ stored: null, recomputed: null })
    const sampled = await run({ steps: '0:2', 'max-samples': '64', seed: '5' })
    const of = await verified(sampled)
    expect(of).to.deep.include({ status: 0, verdict: 'agrees' })
    const { lossFrom } = of.intervals[0]!.splits[0]!
    expect(lossFrom.recomputed).to.equal(lossFrom.stored)
    expect(Math.abs(lossFrom.stored - LOSSES[0]!)).to.be.above(1e-4)
  })

  it('takes BatchNorm from micro-batches of the same size, and a loss from its file', async () => {
    const batch = await run({
      steps: '0:2',
      model: await normalized(),
      batchnorm: 'batch',
      'batch-size': '60',
    })
    const { status, intervals } = await verified(batch)
    expect(status).to.equal(0)
    for (const { splits } of intervals) expect(splits[0]!.lossUlps).to.equal(0)
    const loss = join(newFolder(), 'loss.onnx')
    const squares = graphOf({
      inputs: [input('scores', ['N', 10])],
      nodes: [node('Mul', ['scores', 'scores'], 'squares')],
      outputs: ['squares'],
    })
    writeFileSync(loss, encodeModel(squares))
    const own = await run({ steps: '0:1', loss })
    expect((await verified(own)).status).to.equal(0)
    appendFileSync(loss, Buffer.from([0x2a, 0]))
    await refused([own], /loss\.onnx/)
  })

  it('verifies a part of a run, and one run of a tree', async () => {
    const part = await run({ steps: undefined, intervals: '32:60', 'max-splits': '2', tolerance: '1' })
    const { status, intervals } = await verified(part, '--intervals', '40:41', '--tolerance', '0.5')
    expect(status).to.equal(0)
    expect(intervals[0]).to.deep.include({ interval: 40, stepFrom: 40, stepTo: 41 })
    await refused([part, '--intervals', '3:4'], /the intervals 32 to 59/)
    const tree = join(newFolder(), 'tree')
    const [, checkpoints, ...options] = runArguments({ granularity: 'tensor', steps: '0:1', out: tree })
    expect((await retrograd(['batch', checkpoints!, ...options])).status).to.equal(0)
    const [name] = readdirSync(join(tree, 'runs'))
    await refused([tree], /several runs; name one of them/, 1)
    expect(await verified(tree, '--run', name!)).to.deep.include({ status: 0, run: name })
  })

  it('stops when it is interrupted: exit 130, nothing left behind', async () => {
    const temporary = newFolder()
    let sent = false
    const { status, stdout, stderr } = await retrograd(
      ['verify', results, '--max-splits', '4096', '--tolerance', '1e-9'],
      {
        env: { TMPDIR: temporary },
        onStderr: (child, text) => {
          if (sent || !text.includes('computed on cpu')) return
          sent = true
          child.kill('SIGINT')
        },
      },
    )
    expect(status, stderr).to.equal(130)
    expect(stderr).to.match(/stopping[^]*interrupted: nothing was verified/)
    expect(stdout).to.equal('')
    expect(leftIn(temporary)).to.deep.equal([])
  })
})
