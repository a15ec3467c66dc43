import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { GraphBuilder } from '../../src/onnx/builder.js'
import type { Graph } from '../../src/onnx/graph.js'
import { readModel } from '../../src/onnx/read.js'
import { encodeModel } from '../../src/onnx/write.js'
import { openResults } from '../../src/tables/read.js'
import type { RunSummary } from '../../src/analysis/summary.js'
import { newFolder, removeFolders, retrograd, runArguments } from './command.js'

const RUN = 'fixtures/mnist-lenet'
/** What PyTorch gives in float64 for the recorded checkpoints. */
const LOSSES = JSON.parse(readFileSync(join(RUN, 'expected.json'), 'utf8')) as {
  loss: Record<string, number[]>
}

async function modelWith(change: (graph: Graph) => Graph): Promise<string> {
  const path = join(newFolder(), 'model.onnx')
  writeFileSync(path, encodeModel(change(await readModel(join(RUN, 'model.onnx')))))
  return path
}

/** The demo's run on its first steps, with options changed; its tables. */
async function tablesOf(changes: Record<string, string>) {
  const out = join(newFolder(), 'out')
  const result = await retrograd(runArguments({ out, ...changes }))
  expect(result.status, result.stderr).to.equal(0)
  const results = await openResults(out)
  return {
    results,
    result,
    steps: await results.readTable('steps'),
    tensors: await results.readTable('tensors'),
  }
}

function closeTo(got: ArrayLike<number>, want: ArrayLike<number>, delta: number): void {
  expect(got.length).to.equal(want.length)
  Array.from(want).forEach((value, i) => {
    expect(got[i]).to.be.closeTo(value, delta)
  })
}

describe('retrograd run', () => {
  after(removeFolders)

  it("replays the recorded run: PyTorch's losses, conservation, tables as asked for", async () => {
    const { steps, results, result } = await tablesOf({ granularity: 'parameter', steps: '0:4' })
    closeTo(steps.columns.loss_to, LOSSES.loss.val!.slice(1, 5), 2e-6)
    for (const residual of steps.columns.residual) expect(Math.abs(residual)).to.be.at.most(1e-3)
    expect(results.tables).to.have.members(['steps', 'tensors', 'units', 'parameters', 'totals'])
    expect(results.manifest).to.deep.include({ schema: 3, status: 'complete' })
    expect(results.manifest.checkpoints.map(({ step }) => step)).to.deep.equal([0, 1, 2, 3, 4])
    expect(result.stdout).to.match(/conserved/)
    expect(result.stderr).to.match(/uint8 values are divided by 255/)
  })

  it('describes every tensor: role, layer, unit axis', async () => {
    const { results } = await tablesOf({ steps: '0:1' })
    expect(
      results.manifest.tensors.map((t) => [t.tensor, t.role, t.layer, t.unit_axis, t.shape.join('x')]),
    ).to.deep.equal([
      ['conv1.weight', 'weight', 'conv1', 0, '8x1x5x5'],
      ['conv1.bias', 'bias', 'conv1', 0, '8'],
      ['conv2.weight', 'weight', 'conv2', 0, '16x8x5x5'],
      ['conv2.bias', 'bias', 'conv2', 0, '16'],
      ['fc1.weight', 'weight', 'fc1', 0, '32x256'],
      ['fc1.bias', 'bias', 'fc1', 0, '32'],
      ['fc2.weight', 'weight', 'fc2', 0, '10x32'],
      ['fc2.bias', 'bias', 'fc2', 0, '10'],
    ])
  })

  it('--json prints the same facts for machines, and nothing else', async () => {
    const out = join(newFolder(), 'out')
    const result = await retrograd([...runArguments({ out }), '--json'])
    const facts = JSON.parse(result.stdout) as RunSummary & { status: string; out: string }
    expect(facts).to.include({
      status: 'complete',
      out,
      intervals: 2,
      stepUnit: 'step',
      parameters: 11_978,
      tensors: 8,
    })
    expect(facts.steps).to.deep.equal([0, 1, 2])
    closeTo(facts.splits[0]!.losses, LOSSES.loss.val!.slice(0, 3), 2e-6)
    expect(facts.splits[0]!.layers.map(({ layer }) => layer)).to.deep.equal(['conv1', 'conv2', 'fc1', 'fc2'])
  })

  it('takes further splits, named or not', async () => {
    const { steps } = await tablesOf({ steps: '0:1', val: `${RUN}/val.npz` })
    expect(steps.columns.split).to.deep.equal(['train', 'val'])
    const named = await retrograd([
      ...runArguments({ out: join(newFolder(), 'o'), steps: '0:1', val: `test=${RUN}/val.npz` }),
      '--json',
    ])
    expect((JSON.parse(named.stdout) as RunSummary).splits.map(({ split }) => split)).to.deep.equal([
      'train',
      'test',
    ])
  })

  it('does not depend on the size of the micro-batches', async () => {
    const whole = await tablesOf({ 'batch-size': '300' })
    const cut = await tablesOf({ 'batch-size': '77' })
    closeTo(cut.tensors.columns.lca, whole.tensors.columns.lca, 1e-7)
    closeTo(cut.steps.columns.loss_to, whole.steps.columns.loss_to, 1e-7)
  })

  it('divides by 255 where it is told to, and not where it is told not to', async () => {
    const auto = await tablesOf({ steps: '0:1' })
    const always = await tablesOf({ steps: '0:1', scale: '255' })
    const never = await retrograd([
      ...runArguments({ out: join(newFolder(), 'o'), steps: '0:1', scale: 'none', tolerance: '1000' }),
      '--json',
    ])
    expect(always.steps.columns.loss_to).to.deep.equal(auto.steps.columns.loss_to)
    const [split] = (JSON.parse(never.stdout) as RunSummary).splits
    expect(split!.lossTo).to.be.above(auto.steps.columns.loss_to[0]! + 0.5)
  })

  it('gives the same bits when it is run again', async () => {
    const [first, second] = [await tablesOf({}), await tablesOf({})]
    expect(first.tensors.columns).to.deep.equal(second.tensors.columns)
  })

  it('ends with exit 4 when an interval did not converge, and says what to do', async () => {
    const out = join(newFolder(), 'out')
    const result = await retrograd(runArguments({ out, tolerance: '1e-9', 'max-splits': '2', steps: '0:1' }))
    expect(result.status).to.equal(4)
    expect(result.stdout).to.match(/not converged: 1 of 1 intervals/)
    expect(existsSync(join(out, 'manifest.json'))).to.equal(true)
  })

  it('runs a network of fixed batch in micro-batches of that size, padding the rest, and says how to export', async () => {
    const open = await tablesOf({ steps: '0:1' })
    const model = await modelWith((graph) => ({
      ...graph,
      inputs: graph.inputs.map((input) => ({ ...input, shape: [64, ...input.shape!.slice(1)] })),
    }))
    const fixed = await tablesOf({ model, steps: '0:1' })
    expect(fixed.result.stderr).to.match(/fixed batch of 64[\s\S]*dynamic_shapes/)
    expect(fixed.steps.columns.loss_to[0]).to.be.closeTo(LOSSES.loss.val![1]!, 2e-6)
    closeTo(fixed.tensors.columns.lca, open.tensors.columns.lca, 1e-7)
    const refused = await retrograd(runArguments({ model, 'batch-size': '32', out: join(newFolder(), 'o') }))
    expect(refused.status).to.equal(2)
    expect(refused.stderr).to.match(/--batch-size 32.*fixed batch of 64/)
  })

  it('takes a loss that the graph computes: mean squared logits, per element and as one number', async () => {
    const perSample = await modelWith((graph) => withLoss(graph, (b, logits) => b.mul(logits, logits)))
    const scalar = await modelWith((graph) =>
      withLoss(graph, (b, logits) => b.add('ReduceMean', [b.mul(logits, logits)], { keepdims: 0 })),
    )
    const a = await tablesOf({ model: perSample, loss: 'output:loss', steps: '0:1' })
    const b = await tablesOf({ model: scalar, loss: 'output:loss', steps: '0:1' })
    expect(b.result.stderr).to.match(/one number for each micro-batch/)
    expect(a.steps.columns.loss_from[0]).to.be.closeTo(b.steps.columns.loss_from[0]!, 1e-7)
    closeTo(b.tensors.columns.lca, a.tensors.columns.lca, 1e-7)
    expect(Math.abs(a.steps.columns.residual[0]!)).to.be.below(1e-3)
  })

  it('refuses to pad a loss that is one number for its micro-batch', async () => {
    const fixed = (size: number): Promise<string> =>
      modelWith((graph) => {
        const scalar = withLoss(graph, (b, logits) =>
          b.add('ReduceMean', [b.mul(logits, logits)], { keepdims: 0 }),
        )
        const inputs = scalar.inputs.map((input) => ({ ...input, shape: [size, ...input.shape!.slice(1)] }))
        return { ...scalar, inputs }
      })
    const whole = await tablesOf({ model: await fixed(100), loss: 'output:loss', steps: '0:1' })
    expect(whole.results.manifest.result.noise_floor).to.equal(0)
    expect(whole.steps.columns.converged).to.deep.equal([true])
    const out = join(newFolder(), 'o')
    const refused = await retrograd(runArguments({ model: await fixed(64), loss: 'output:loss', out }))
    expect(refused.status).to.equal(1)
    expect(refused.stderr).to.match(/300 samples don't fill micro-batches of 64/)
  })

  function withLoss(graph: Graph, loss: (builder: GraphBuilder, logits: string) => string): Graph {
    const builder = new GraphBuilder(graph)
    return builder.finish(graph.inputs, new Map([['loss', loss(builder, 'logits')]]))
  }

  /** No interval converges to this: the run takes many times longer than the tests let it. */
  const LONG = { steps: undefined, tolerance: '1e-12', 'max-splits': '4' }

  it('goes on where it was interrupted: exit 130, the line to resume, then the bits of one run', async () => {
    const [out, whole] = [join(newFolder(), 'out'), join(newFolder(), 'whole')]
    const first = await interruptedRun({ out }, 'SIGINT', 1500)
    expect(first.status, first.stderr).to.equal(130)
    expect(first.stderr).to.match(
      /(\d+) of 60 intervals are finished and stay in .*; to go on:\n {2}retrograd run fixtures/,
    )
    expect(readdirSync(out)).to.deep.equal(['.partial'])
    expect((await retrograd(runArguments({ out, ...LONG }))).status).to.equal(4)
    expect((await retrograd(runArguments({ out: whole, ...LONG, workers: '1' }))).status).to.equal(4)
    expect(await allRows(out)).to.deep.equal(await allRows(whole))
  })

  it('leaves nothing visible when killed, refuses to go on with other options, naming them, or begins anew', async () => {
    const out = join(newFolder(), 'out')
    await interruptedRun({ out }, 'SIGKILL', 1500)
    expect(readdirSync(out)).to.deep.equal(['.partial'])
    const other = await retrograd(runArguments({ out, ...LONG, tolerance: '0.5' }))
    expect(other.status).to.equal(2)
    expect(other.stderr).to.match(
      /unfinished run with other options: tolerance was 1e-12, is 0.5\. .*--overwrite/,
    )
    expect((await retrograd([...runArguments({ out, steps: '0:1' }), '--overwrite'])).status).to.equal(0)
    expect(readdirSync(out).sort()).to.deep.equal(['manifest.json', 'steps', 'tensors', 'totals', 'units'])
  })

  /** A long run that is sent a signal some time after its data were read. */
  function interruptedRun(changes: Record<string, string>, signal: NodeJS.Signals, after: number) {
    let signalled = false
    return retrograd(runArguments({ ...changes, ...LONG }), {
      onStderr: (child, text) => {
        if (signalled || !text.includes('divided by 255')) return
        signalled = true
        setTimeout(() => child.kill(signal), after)
      },
    })
  }

  /** Every value of every table. */
  async function allRows(out: string): Promise<unknown> {
    const results = await openResults(out)
    return Promise.all(results.tables.map(async (table) => [table, await results.readTable(table)]))
  }

  it('--help shows examples and exit codes', async () => {
    const main = await retrograd(['--help'])
    expect(main.stdout).to.match(/retrograd run <checkpoints>[\s\S]*Exit codes/)
    const run = await retrograd(['run', '--help'])
    expect(run.stdout).to.match(/Examples:[\s\S]*--train train\.npz/)
  })
})
