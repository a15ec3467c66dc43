import { spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { differentiate } from '../../src/autodiff/differentiate.js'
import { programOf } from '../../src/engines/program.js'
import { EngineError } from '../../src/errors.js'
import { readModel } from '../../src/onnx/read.js'
import type { RunOptions } from '../../src/replay/options.js'
import type { ReplayRecord } from '../../src/replay/records.js'
import { runReplay } from '../../src/replay/run.js'
import { WorkerPool } from '../../src/replay/workers/pool.js'
import { startWorkers } from '../../src/replay/workers/start.js'
import type { StartedWorkers } from '../../src/replay/workers/start.js'
import { WorkerProcess } from '../../src/replay/workers/worker-process.js'
import { openResults } from '../../src/tables/read.js'
import { MAIN, newFolder, removeFolders, runArguments } from '../cli/command.js'
import { normalized } from '../cli/normalized.js'
import { livingInGroup } from '../support/processes.js'
import { rejection } from '../support/rejection.js'
import { FAULT_KINDS, withFaults } from './faults.js'
import type { Fault } from './faults.js'

const RUN = 'fixtures/mnist-lenet'
const CROSS_ENTROPY = {
  parameters: ['fc2.bias'],
  wanted: ['fc2.bias'],
  loss: { kind: 'cross-entropy' },
  batchNorm: 'running',
} as const
/** Micro-batches of 300 samples, in groups of which four are summed apart. */
const BATCH = 20

/** The demo's run on its first six steps, with options changed. */
function optionsOf(changes: Partial<RunOptions> = {}): RunOptions {
  return {
    checkpoints: `${RUN}/checkpoints`,
    model: `${RUN}/model.onnx`,
    splits: new Map([['train', `${RUN}/val.npz`]]),
    loss: { kind: 'cross-entropy' },
    scale: 'auto',
    steps: { from: 0, to: 6, stride: 1 },
    tolerance: 1e-3,
    maxSplits: 2,
    granularity: 'parameter',
    batchNorm: 'running',
    batchSize: BATCH,
    out: join(newFolder(), 'out'),
    overwrite: false,
    ...changes,
  }
}

/** Every value of every table, with what was told on the way. */
async function rowsOf(options: RunOptions, workers: StartedWorkers = startWorkers(options)) {
  const notes: string[] = []
  await runReplay(options, { onNote: (note) => notes.push(note) }, workers)
  const results = await openResults(options.out)
  const rows = await Promise.all(results.tables.map(async (table) => [table, await results.readTable(table)]))
  return { rows, notes, result: results.manifest.result }
}

/** Runs with workers that have faults. */
function withFaulty(faults: readonly Fault[], changes: Partial<RunOptions> = {}) {
  const options = optionsOf({ workers: 2, ...changes })
  return withFaults(faults, 2, (workers) => rowsOf(options, workers))
}

describe('workers', () => {
  let whole: Awaited<ReturnType<typeof rowsOf>>

  before(async () => {
    whole = await rowsOf(optionsOf({ workers: 1 }))
  })

  after(removeFolders)

  it('of any number give the same bits, also where they share the groups of one gradient', async () => {
    for (const workers of [2, 3, 7]) {
      const { rows } = await rowsOf(optionsOf({ workers }))
      expect(rows, `${workers} workers`).to.deep.equal(whole.rows)
    }
  })

  for (const [kind, end] of [
    ['killed', 'was killed by SIGKILL'],
    ['exit', 'ended with exit code 3'],
  ] as const)
    it(`that ${kind === 'killed' ? 'are killed' : 'end'} cost a note and nothing else`, async () => {
      const { rows, notes, result } = await withFaulty([
        { kind, at: 'point-2-0-0.', times: 1 },
        { kind, at: 'gradient-4-0.', times: 1 },
        { kind, at: 'noise-0.', times: 1 },
      ])
      expect(rows).to.deep.equal(whole.rows)
      expect(result).to.deep.equal(whole.result)
      const told = notes.filter((note) => note.includes('worker process'))
      expect(told).to.have.length(3)
      for (const note of told) expect(note).to.match(new RegExp(`^worker process \\d+ ${end}; a new one`))
    })

  it('that die before they have begun cost a note and nothing else', async () => {
    const { rows, notes } = await withFaulty([{ kind: 'killed', at: 'start', times: 3 }])
    expect(rows).to.deep.equal(whole.rows)
    expect(notes.filter((note) => note.includes('was killed by SIGKILL'))).to.have.length(3)
  })

  it('that die twice at the same task end the run; finished intervals stay, and the next run goes on', async () => {
    const options = optionsOf({ workers: 2 })
    const error = await rejection(
      withFaults([{ kind: 'killed', at: 'point-4-0-0.', times: 2 }], 2, (workers) =>
        rowsOf(options, workers),
      ),
    )
    expect(error).to.be.instanceOf(EngineError)
    expect(error).to.include({ exitStatus: 1 })
    expect(error.message).to.match(/^worker process \d+ was killed by SIGKILL, the second one to die/)
    expect(readdirSync(options.out)).to.deep.equal(['.partial'])
    const finished = recordsOf(options.out).flatMap((record) =>
      record.kind === 'interval' ? [record.interval] : [],
    )
    expect(finished).to.include(0).and.not.to.include(4)
    expect((await rowsOf(options)).rows).to.deep.equal(whole.rows)
  })

  it('that all die end the run with an error, also where they never begin', async () => {
    for (const at of ['start', '']) {
      const error = await rejection(withFaulty([{ kind: 'exit', at, times: 100 }]))
      expect(error).to.be.instanceOf(EngineError)
      expect(error.message).to.match(/ended with exit code 3, (like all before it|the second one)/)
    }
  })

  it('whose engine can not be made say so, whenever something is asked of them', async () => {
    const process = new WorkerProcess()
    const pool = new WorkerPool([process], {
      store: newFolder(),
      scratch: newFolder(),
      engine: {
        engine: 'onnxruntime',
        model: 'no such file.onnx',
        program: programOf(differentiate(await readModel(`${RUN}/model.onnx`), CROSS_ENTROPY)),
        device: 'cpu',
        strict: false,
      },
      fixedBatch: false,
      threads: 1,
      parameters: { tensors: [], allocated: 0, weightElements: 'float32' },
      splits: [{ samples: 1, inputs: {} }],
      keepBytes: 0,
    })
    const task = { split: 0, from: 0, to: 1, a: 0, cut: { size: 1 }, out: 'x', movements: [] }
    for (const when of ['at once', 'later']) {
      const error = await rejection(pool.evaluate(task, 0, () => undefined))
      expect(error, when).to.be.instanceOf(EngineError)
      expect(error.message, when).to.match(/can't load the gradient graph.*no such file/)
    }
    await pool.close()
  })

  for (const kind of FAULT_KINDS.slice(2))
    it(`that want for memory (${kind}) have micro-batches of half the size, as notes and manifest say`, async () => {
      const options = optionsOf({ workers: 2 })
      const faults = [{ kind, at: 'point-3-0-0.', times: 100, fromSize: BATCH }]
      const { rows, notes, result } = await withFaults(faults, 2, (workers) => rowsOf(options, workers))
      const messages = result.messages as string[]
      expect(messages).to.have.length(1)
      expect(messages[0]).to.match(/from interval \d on, has micro-batches of 10 samples instead of 20$/)
      expect(notes).to.include(messages[0])
      expect(lossesOf(rows)).to.have.length(6)
      lossesOf(whole.rows).forEach((loss, t) => {
        expect(lossesOf(rows)[t]).to.be.closeTo(loss, 1e-6)
      })
    })

  it('that want for memory again with half the size end the run with an error that says what helps', async () => {
    const error = await rejection(withFaulty([{ kind: 'bad_alloc', at: 'point-3-0-0.', times: 100 }]))
    expect(error).to.be.instanceOf(EngineError)
    expect(error.message).to.match(
      /memory was short, with micro-batches of (10|5) samples; use fewer --workers/,
    )
  })

  it('that want for memory at a single sample end the run', async () => {
    const changes = { batchSize: 1, steps: { from: 0, to: 1, stride: 1 } }
    const error = await rejection(withFaulty([{ kind: 'bad_alloc', at: 'gradient-1-0.', times: 1 }], changes))
    expect(error.message).to.match(/memory was short, with micro-batches of one sample/)
  })

  it('that want for memory where the micro-batch is part of the loss end the run, which says so', async () => {
    const changes = { model: await normalized(), batchNorm: 'batch' } as const
    const error = await rejection(withFaulty([{ kind: 'bad_alloc', at: 'gradient-1-0.', times: 1 }], changes))
    expect(error).to.be.instanceOf(EngineError)
    expect(error.message).to.match(/memory was short; the micro-batch is part of the loss and stays as it is/)
  })

  it('keep the size that they were given when the run goes on', async () => {
    const options = optionsOf({ workers: 2 })
    const faults: Fault[] = [
      { kind: 'bad_alloc', at: 'gradient-1-0.', times: 1 },
      { kind: 'killed', at: 'point-4-0-0.', times: 2 },
    ]
    await rejection(withFaults(faults, 2, (workers) => rowsOf(options, workers)))
    const { result, notes } = await withFaults(
      [{ kind: 'exit', at: '', times: 100, fromSize: 11 }],
      2,
      (workers) => rowsOf(options, workers),
    )
    expect(result.messages).to.have.length(1)
    expect(notes.filter((note) => note.includes('worker process'))).to.deep.equal([])
  })
})

describe('a line that is no good', () => {
  before(function () {
    if (process.platform !== 'linux') this.skip()
  })

  it('leaves no process, though they began before it was read', async () => {
    for (const line of [['x', '--lossy'], runArguments({ out: 'x', workers: '0' }).slice(1)]) {
      const child = spawn(process.execPath, [MAIN, 'run', ...line], { stdio: 'ignore', detached: true })
      const status = await new Promise<number | null>((resolve) => child.on('close', resolve))
      for (let wait = 0; wait < 200 && livingInGroup(child.pid!).length > 0; wait += 1) await sleep(20)
      expect([status, livingInGroup(child.pid!)], line.join(' ')).to.deep.equal([2, []])
    }
  })
})

describe('an interrupt', () => {
  before(function () {
    if (process.platform !== 'linux') this.skip()
  })

  after(removeFolders)

  /** A run that takes long, interrupted so many times after its data were read; its whole group, as a terminal does it. */
  async function interrupted(out: string, times: number) {
    const args = runArguments({ out, steps: undefined, tolerance: '1e-12', 'max-splits': '8' })
    const child = spawn(process.execPath, [MAIN, ...args], {
      stdio: ['ignore', 'ignore', 'pipe'],
      detached: true,
    })
    let stderr = ''
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString()
    })
    const ended = new Promise<number | null>((resolve) => child.on('close', resolve))
    const journal = join(out, '.partial/replay/journal')
    while (!existsSync(journal) || !readFileSync(journal, 'utf8').includes('"interval"')) await sleep(10)
    for (let time = 0; time < times; time += 1) process.kill(-child.pid!, 'SIGINT')
    const status = await ended
    for (let wait = 0; wait < 200 && livingInGroup(child.pid!).length > 0; wait += 1) await sleep(20)
    return { status, stderr, left: livingInGroup(child.pid!) }
  }

  it('ends a run with exit 130 and the line to go on, leaves .partial alone and no process', async () => {
    const out = join(newFolder(), 'out')
    const { status, stderr, left } = await interrupted(out, 1)
    expect(status, stderr).to.equal(130)
    expect(stderr).to.match(/of 60 intervals are finished and stay in .*; to go on:\n {2}retrograd run /)
    expect(left, 'processes').to.deep.equal([])
    expect(readdirSync(out)).to.deep.equal(['.partial'])
    expect(readdirSync(join(out, '.partial'))).to.include.members(['replay', 'run.json'])
    expect(readdirSync(join(out, '.partial'))).not.to.include.members(['lock', 'shared'])
  })

  it('and a second one end it at once, without a process left', async () => {
    const out = join(newFolder(), 'out')
    const { status, left } = await interrupted(out, 2)
    expect(status).to.equal(130)
    expect(left, 'processes').to.deep.equal([])
    expect(readdirSync(out)).to.deep.equal(['.partial'])
  })
})

function recordsOf(out: string): ReplayRecord[] {
  const lines = readFileSync(join(out, '.partial/replay/journal'), 'utf8').trim().split('\n')
  return lines.map((line) => JSON.parse(line.slice(line.indexOf(' ') + 1)) as ReplayRecord)
}

function lossesOf(rows: Awaited<ReturnType<typeof rowsOf>>['rows']): number[] {
  const [, steps] = rows.find(([table]) => table === 'steps')! as [
    string,
    { columns: { loss_to: Float64Array } },
  ]
  return Array.from(steps.columns.loss_to)
}
