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
import { parseLoss } from '../../src/autodiff/losses.js'
import { readIntervals } from '../../src/cli/verify.js'
import { ResultsError, UsageError } from '../../src/errors.js'
import type { RetrogradError } from '../../src/errors.js'
import { encodeModel } from '../../src/onnx/write.js'
import type { RunOptions } from '../../src/replay/options.js'
import { runReplay } from '../../src/replay/run.js'
import type { ManifestFacts } from '../../src/tables/manifest.js'
import { openResults } from '../../src/tables/read.js'
import type { Batch, Granularity, TableName } from '../../src/tables/schema.js'
import { ResultsWriter } from '../../src/tables/writer.js'
import type { Verification, VerifyOptions } from '../../src/verify/model.js'
import { verifyResults } from '../../src/verify/verify.js'
import { graphOf, input, node } from '../support/graphs.js'
import { rejection } from '../support/rejection.js'
import { newFolder, removeFolders, retrograd, runArguments } from './command.js'
import { normalized } from './normalized.js'

const FIXTURE = resolve('fixtures/mnist-lenet')
/** What PyTorch gives in float64 for the recorded checkpoints. */
const LOSSES = (
  JSON.parse(readFileSync(join(FIXTURE, 'expected.json'), 'utf8')) as { loss: Record<string, number[]> }
).loss.val!

async function run(changes: Readonly<Record<string, string | undefined>>): Promise<string> {
  const out = join(newFolder(), 'out')
  const { status, stderr } = await retrograd(runArguments({ granularity: 'tensor', out, ...changes }))
  expect(status, stderr).to.be.oneOf([0, 4])
  return out
}

/** A run of the recorded network by library call. */
async function runHere(changes: Partial<RunOptions>): Promise<string> {
  const out = join(newFolder(), 'out')
  await runReplay(
    {
      checkpoints: join(FIXTURE, 'checkpoints'),
      model: join(FIXTURE, 'model.onnx'),
      splits: new Map([['train', join(FIXTURE, 'val.npz')]]),
      loss: parseLoss('cross-entropy'),
      ...{ scale: 'auto', tolerance: 1e-3, maxSplits: 32, granularity: 'tensor', batchNorm: 'running' },
      ...{ workers: 1, out, overwrite: false },
      ...changes,
    },
    {},
  )
  return out
}

/** What the command prints with --json, whose exit code follows from the verdict. */
async function verified(folder: string, options: VerifyOptions = {}): Promise<Verification> {
  return (await verifyResults(folder, { workers: 1, maxSplits: 8, ...options }))!
}

async function refused(
  folder: string,
  options: VerifyOptions,
  message: RegExp,
  kind: abstract new (...args: never[]) => RetrogradError = UsageError,
): Promise<void> {
  const error = await rejection(verifyResults(folder, options))
  if (!(error instanceof kind)) throw error
  expect(error.message).to.match(message)
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
    const { verdict, intervals, of, computed } = await verified(results, { intervals: [1, 3] })
    expect({ verdict, of }).to.deep.equal({ verdict: 'agrees', of: 4 })
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
    const found = await verified(changed, { intervals: 'all' })
    expect(found.intervals.map(({ verdict }) => verdict)).to.deep.equal([
      'agrees',
      'agrees',
      'differs',
      'agrees',
    ])
    // what is not recomputed is found by its sums
    const elsewhere = await verified(changed, { intervals: [0] })
    expect(elsewhere.verdict).to.equal('differs')
    expect(elsewhere.intervals.map(({ verdict }) => verdict)).to.deep.equal(['agrees'])
  })

  it('finds a changed parameter and a changed loss', async () => {
    const parameter = await rewritten(results, (table, columns) => {
      if (table === 'parameters') (columns.lca as Float32Array[])[0]![7]! -= 0.5
    })
    const one = await verified(parameter, { intervals: [0] })
    expect(one.verdict).to.equal('differs')
    expect(one.contradictions.map(({ what }) => what)).to.deep.equal([
      'lca of conv1.weight is not the sum of its parameters',
    ])
    expect(one.intervals[0]!.where).to.equal('lca of parameter 7 of conv1.weight on train')
    const loss = await rewritten(results, (table, columns) => {
      if (table === 'steps') (columns.loss_to as Float64Array)[3]! += 0.25
    })
    const two = await verified(loss, { intervals: [3] })
    expect(two.intervals[0]).to.deep.include({ verdict: 'differs', where: 'loss at its end on train' })
    expect(two.intervals[0]!.distance).to.be.closeTo(0.25, 1e-9)
  })

  it('tells that a first-order run is off by its residuals, and imprecise, not other numbers: exit 4', async () => {
    const steps = { from: 38, to: 40, stride: 1 }
    const rough = await runHere({ steps, quadrature: 'first-order', maxSplits: 1 })
    const { verdict, intervals } = await verified(rough, { maxSplits: 16 })
    expect(verdict).to.equal('imprecise')
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
      results,
      { model: join(FIXTURE, 'train.npz') },
      /train\.npz is not what the results were made from.*--model/,
    )
    appendFileSync(model, Buffer.from([0]))
    await refused(results, { model }, /model\.onnx is not what .* SHA-256/)
    const train = (file: string): VerifyOptions => ({ splits: new Map([['train', file]]) })
    await refused(
      results,
      train(join(FIXTURE, 'train.npz')),
      /train\.npz is not what the results were made from/,
    )
    await refused(results, { splits: new Map([['other', 'x.npz']]) }, /no data set of that name, only train/)
    const checkpoints = join(newFolder(), 'checkpoints')
    cpSync(join(FIXTURE, 'checkpoints'), checkpoints, { recursive: true })
    cpSync(join(checkpoints, 'step-000009.safetensors'), join(checkpoints, 'step-000003.safetensors'))
    await refused(
      results,
      { checkpoints },
      /step-000003\.safetensors is not the checkpoint that the results were made from/,
    )
    await refused(results, { intervals: [4, 5] }, /--intervals 4: the results hold the intervals 0 to 3/)
    expect(() => readIntervals('3,x')).to.throw(UsageError, /which: 3,17,40:44/)
    expect(readIntervals('3,17,40:44')).to.deep.equal([3, 17, 40, 41, 42, 43])
    await refused(newFolder(), {}, /holds no finished results/, ResultsError)
    // as the command line tells it
    const { status, stdout, stderr } = await retrograd(['verify', results, '--val', 'other=x.npz'])
    expect({ status, stdout }).to.deep.equal({ status: 2, stdout: '' })
    expect(stderr).to.match(/no data set of that name, only train/)
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
    const args = runArguments({ granularity: 'tensor', ...paths, out: 'runs/results' })
    expect((await retrograd(args, { cwd: project })).status).to.equal(0)
    const moved = join(newFolder(), 'elsewhere')
    renameSync(project, moved)
    const folder = join(moved, 'runs', 'results')
    expect((await verified(folder)).verdict).to.equal('agrees')
    // checkpoints that were recorded since are no part of the run
    cpSync(
      join(FIXTURE, 'checkpoints/step-000003.safetensors'),
      join(moved, 'checkpoints/step-000003.safetensors'),
    )
    expect((await verified(folder, { intervals: [1] })).verdict).to.equal('agrees')
    renameSync(join(moved, 'val.npz'), join(moved, 'images.npz'))
    await refused(
      folder,
      {},
      /val\.npz, from which .* was made, is not there any more: say where it is now with --train/,
    )
    const splits = new Map([['train', join(moved, 'images.npz')]])
    expect((await verified(folder, { intervals: [1], splits })).verdict).to.equal('agrees')
  })

  it('verifies what was restricted to some tensors, and what was sampled', async () => {
    const steps = { from: 0, to: 2, stride: 1 }
    const restricted = await runHere({ steps, tensors: ['conv*'] })
    const some = await verified(restricted)
    expect(some.verdict).to.equal('agrees')
    expect(some.intervals[0]!.splits[0]!.residual).to.deep.equal({ stored: NaN, recomputed: NaN })
    const sampled = await runHere({ steps, sample: { maximum: 64, seed: 5 } })
    const of = await verified(sampled)
    expect(of.verdict).to.equal('agrees')
    const { lossFrom } = of.intervals[0]!.splits[0]!
    expect(lossFrom.recomputed).to.equal(lossFrom.stored)
    expect(Math.abs(lossFrom.stored - LOSSES[0]!)).to.be.above(1e-4)
  })

  it('takes BatchNorm from micro-batches of the same size, and a loss from its file', async () => {
    const steps = { from: 0, to: 2, stride: 1 }
    const batch = await runHere({ steps, model: await normalized(), batchNorm: 'batch', batchSize: 60 })
    const { verdict, intervals } = await verified(batch)
    expect(verdict).to.equal('agrees')
    for (const { splits } of intervals) expect(splits[0]!.lossUlps).to.equal(0)
    const loss = join(newFolder(), 'loss.onnx')
    const squares = graphOf({
      inputs: [input('scores', ['N', 10])],
      nodes: [node('Mul', ['scores', 'scores'], 'squares')],
      outputs: ['squares'],
    })
    writeFileSync(loss, encodeModel(squares))
    const own = await run({ steps: '0:1', loss })
    expect((await verified(own)).verdict).to.equal('agrees')
    appendFileSync(loss, Buffer.from([0x2a, 0]))
    await refused(own, {}, /loss\.onnx/)
  })

  it('verifies a part of a run, and one run of a tree', async () => {
    const part = await runHere({ intervals: { from: 32, to: 60 }, maxSplits: 2, tolerance: 1 })
    const { verdict, intervals } = await verified(part, { intervals: [40], tolerance: 0.5 })
    expect(verdict).to.equal('agrees')
    expect(intervals[0]).to.deep.include({ interval: 40, stepFrom: 40, stepTo: 41 })
    await refused(part, { intervals: [3] }, /the intervals 32 to 59/)
    const tree = join(newFolder(), 'tree')
    const [, checkpoints, ...options] = runArguments({ granularity: 'tensor', steps: '0:1', out: tree })
    expect((await retrograd(['batch', checkpoints!, ...options])).status).to.equal(0)
    const [name] = readdirSync(join(tree, 'runs'))
    await refused(tree, {}, /several runs; name one of them/, ResultsError)
    expect(await verified(tree, { run: name! })).to.deep.include({ verdict: 'agrees', run: name })
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
