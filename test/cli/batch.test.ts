import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { ResultsError } from '../../src/errors.js'
import { openArchive, openResults } from '../../src/tables/read.js'
import { rejection } from '../support/rejection.js'
import { newFolder, removeFolders, retrograd } from './command.js'
import type { Outcome, SpawnOptions } from './command.js'

const FIXTURE = 'fixtures/mnist-lenet'
const step = (n: number): string => `step-${String(n).padStart(6, '0')}.safetensors`

/** Runs with the first checkpoints of the recorded run; `broken` has one that is cut off. */
function archive(steps: Readonly<Record<string, number>>, broken?: string): string {
  const folder = join(newFolder(), 'archive')
  for (const [name, last] of Object.entries(steps)) {
    const checkpoints = join(folder, name, 'checkpoints')
    mkdirSync(checkpoints, { recursive: true })
    for (let n = 0; n <= last; n += 1)
      cpSync(join(FIXTURE, 'checkpoints', step(n)), join(checkpoints, step(n)), { preserveTimestamps: true })
    if (name === broken)
      writeFileSync(
        join(checkpoints, step(last)),
        readFileSync(join(checkpoints, step(last))).subarray(0, 1000),
      )
  }
  return folder
}

const SHARED = [
  '--model',
  `${FIXTURE}/model.onnx`,
  '--train',
  `${FIXTURE}/val.npz`,
  '--loss',
  'cross-entropy',
]

const batch = (args: readonly string[], options?: SpawnOptions): Promise<Outcome> =>
  retrograd(['batch', ...args], options)

/** Names, sizes and times of change of all files of a folder. */
function state(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .sort()
    .map((name) => [name, statSync(join(folder, name))] as const)
    .filter(([, stats]) => stats.isFile())
    .map(([name, { size, mtimeMs, ino }]) => `${name} ${size} ${mtimeMs} ${ino}`)
}

const of = (run: string, all: readonly string[]): string[] => all.filter((line) => line.includes(run))

interface Summary {
  readonly runs: readonly {
    readonly name: string
    readonly status: string
    readonly reason?: string
    readonly intervals?: number
    readonly converged?: number
    readonly splits?: readonly { readonly split: string; readonly lossTo: number }[]
  }[]
}

const summaryOf = ({ stdout }: Outcome): Summary => JSON.parse(stdout) as Summary

describe('retrograd batch', () => {
  after(removeFolders)

  it('replays every run of an archive into one tree, each with the numbers that it has by itself', async () => {
    const folder = archive({ 'lr-1': 2, 'deep/lr-2': 1 })
    const out = join(newFolder(), 'out')
    const result = await batch([folder, ...SHARED, '--out', out])
    expect(result.status, result.stderr).to.equal(0)
    expect(result.stderr).to.match(/^\[1\/2\] deep-lr-2: done \(/m)
    expect(result.stdout).to.match(/^ {2}deep-lr-2 +1 .* done$/m)
    const { runs } = await openArchive(out)
    expect([...runs.keys()]).to.deep.equal(['deep-lr-2', 'lr-1'])
    const alone = join(newFolder(), 'alone')
    await retrograd(['run', join(folder, 'lr-1/checkpoints'), ...SHARED, '--out', alone])
    for (const table of ['steps', 'tensors', 'units', 'totals'] as const)
      expect(await runs.get('lr-1')!.readTable(table), table).to.deep.equal(
        await (await openResults(alone)).readTable(table),
      )
    expect((await openResults(out, { run: 'deep-lr-2' })).manifest.checkpoints.length).to.equal(2)
    expect(readdirSync(out).filter((name) => name.startsWith('.'))).to.deep.equal([])
  })

  it('goes on past a run that fails: exit 1 with its reason; it is tried again, and what is finished stays untouched', async () => {
    const folder = archive({ a: 1, b: 1, c: 1 }, 'b')
    const out = join(newFolder(), 'out')
    const args = [folder, ...SHARED, '--out', out]
    const first = await batch(args)
    expect(first.status).to.equal(1)
    expect(first.stdout).to.match(/1 of 3 runs failed:\n {2}b: .*step-000001\.safetensors: /)
    expect(first.stderr).to.match(/^\[2\/3\] b: failed: .*step-000001/m)
    expect([...(await openArchive(out)).runs.keys()]).to.deep.equal(['a', 'c'])
    expect(JSON.parse(readFileSync(join(out, 'batch.json'), 'utf8'))).to.have.nested.property(
      'runs[1].status',
      'failed',
    )
    const before = state(out)
    cpSync(join(FIXTURE, 'checkpoints', step(1)), join(folder, 'b/checkpoints', step(1)))
    const second = await batch([...args, '--json'])
    expect(second.status, second.stderr).to.equal(0)
    expect(summaryOf(second).runs.map(({ name, status }) => [name, status])).to.deep.equal([
      ['a', 'finished'],
      ['b', 'done'],
      ['c', 'finished'],
    ])
    for (const run of ['a', 'c']) {
      const files = of(`run=${run}/`, before)
      expect(files.length).to.be.greaterThan(3)
      expect(of(`run=${run}/`, state(out))).to.deep.equal(files)
      expect(of(`runs/${run}/`, state(out))).to.deep.equal(of(`runs/${run}/`, before))
    }
  })

  it('replays a finished run anew when its options or files change, and says what did', async () => {
    const folder = archive({ a: 1, b: 1 })
    const out = join(newFolder(), 'out')
    const file = join(folder, 'batch.yaml')
    const write = (tolerance: number): void => {
      const text = `out: ${out}\nfind: .\noverrides: [{match: b, tolerance: ${tolerance}}]\n`
      writeFileSync(file, text)
    }
    write(0.1)
    await batch([file, ...SHARED])
    write(0.2)
    cpSync(join(FIXTURE, 'checkpoints', step(2)), join(folder, 'a/checkpoints', step(2)))
    const again = await batch([file, ...SHARED, '--json'])
    expect(again.status, again.stderr).to.equal(0)
    expect(again.stderr).to.match(/a: replayed anew: files of checkpoints changed/)
    expect(again.stderr).to.match(/b: replayed anew: tolerance was 0\.1, is 0\.2/)
    expect(summaryOf(again).runs.map(({ intervals }) => intervals)).to.deep.equal([2, 1])
  })

  it('refuses to replace a run by another of its name, unless told to', async () => {
    const out = join(newFolder(), 'out')
    await batch([archive({ a: 1 }), ...SHARED, '--out', out])
    const other = archive({ a: 2 })
    const refused = await batch([other, ...SHARED, '--out', out])
    expect(refused.status).to.equal(2)
    expect(refused.stderr).to.match(/run a of .* was replayed from other checkpoints .* --overwrite/)
    const replaced = await batch([other, ...SHARED, '--out', out, '--overwrite', '--json'])
    expect(summaryOf(replaced).runs[0]).to.include({ status: 'done', intervals: 2 })
  })

  it('stops on an interrupt with exit 130 and the line that goes on', async () => {
    const folder = archive({ a: 1, b: 20, c: 1 })
    const out = join(newFolder(), 'out')
    const args = [folder, ...SHARED, '--out', out]
    let sent = false
    const stopped = await batch(args, {
      onStderr: (child, text) => {
        if (sent || !text.includes('[1/3] a: done')) return
        sent = true
        setTimeout(() => child.kill('SIGINT'), 600)
      },
    })
    expect(stopped.status, stopped.stderr).to.equal(130)
    expect(stopped.stderr).to.include(`to go on:\n  retrograd batch ${folder} `)
    expect(stopped.stdout).to.match(/^ {2}c .* not begun$/m)
    const before = of('run=a/', state(out))
    const resumed = await batch([...args, '--json'])
    expect(resumed.status, resumed.stderr).to.equal(0)
    expect(summaryOf(resumed).runs.map(({ name, status }) => [name, status])).to.deep.equal([
      ['a', 'finished'],
      ['b', 'done'],
      ['c', 'done'],
    ])
    expect(of('run=a/', state(out))).to.deep.equal(before)
    expect((await openResults(out, { run: 'b' })).manifest.result.intervals).to.equal(20)
  })

  it('--dry-run says what runs would take, and writes nothing', async () => {
    const folder = archive({ a: 2, b: 1 }, 'b')
    const out = join(newFolder(), 'out')
    const before = state(folder)
    const result = await batch([folder, ...SHARED, '--out', out, '--dry-run'])
    expect(result.status).to.equal(1)
    expect(result.stdout).to.match(/^ {2}a +3 +2 +6 +\d+ s +\d+ MB +\d+ kB$/m)
    expect(result.stdout).to.match(/^ {2}b .*can't be replayed: .*step-000001/m)
    expect(result.stdout).to.match(/^ {2}total +3 +2 +6 /m)
    expect(existsSync(out)).to.equal(false)
    expect(state(folder)).to.deep.equal(before)
  })

  it('ends with exit 4 when all runs are done and some interval did not converge', async () => {
    const args = [archive({ a: 2 }), ...SHARED, '--tolerance', '1e-12', '--max-splits', '2']
    const result = await batch([...args, '--out', join(newFolder(), 'out'), '--json'])
    expect(result.status, result.stderr).to.equal(4)
    expect(summaryOf(result).runs[0]).to.include({ status: 'done', intervals: 2, converged: 0 })
  })

  it('tells slips before any run begins: exit 2', async () => {
    const folder = archive({ a: 1 })
    const out = join(newFolder(), 'out')
    writeFileSync(
      join(folder, 'batch.yaml'),
      `out: ${out}\nfind: .\nruns: [{name: b, checkpoints: a, steps: every}]\n`,
    )
    for (const [args, message] of [
      [[folder, ...SHARED], /--out is missing/],
      [[folder, ...SHARED, '--out', out, '--steps', 'x'], /run a \(.*--steps x/],
      [[join(folder, 'batch.yaml'), ...SHARED], /run b \(.*batch\.yaml:3\): --steps every/],
      [[join(folder, 'batch.yaml'), folder, ...SHARED], /is a batch file: name it alone/],
      [
        [folder, ...SHARED, '--out', out, '--tolerence', '1'],
        /--tolerence is no option; did you mean --tolerance\?/,
      ],
      [[], /missing/],
    ] as const) {
      const result = await batch(args)
      expect(result.status, result.stderr).to.equal(2)
      expect(result.stderr).to.match(message)
    }
    expect(existsSync(out)).to.equal(false)
  })

  it("a tree's runs are opened by name, and the name of another is refused", async () => {
    const out = join(newFolder(), 'out')
    await batch([archive({ a: 1 }), ...SHARED, '--out', out])
    const wrong = await rejection(openResults(out, { run: 'b' }))
    expect(wrong).to.be.instanceOf(ResultsError)
    expect(wrong.message).to.match(/holds no finished run b, only a$/)
    expect((await rejection(openResults(out))).message).to.match(
      /results of several runs; name one of them, such as a/,
    )
    expect((await rejection(openArchive(newFolder()))).message).to.match(/holds no finished runs of a batch/)
  })

  it('--help shows examples', async () => {
    const { stdout, status } = await batch(['--help'])
    expect(status).to.equal(0)
    expect(stdout).to.match(/retrograd batch batch\.yaml --dry-run/)
  })
})
