import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { ResultsError, UsageError } from '../../src/errors.js'
import { hashOf } from '../../src/tables/identity.js'
import { FileSink } from '../../src/tables/file-sink.js'
import { ResultsWriter } from '../../src/tables/writer.js'
import { entries, useFolder } from './folder.js'
import { rejection } from '../support/rejection.js'
import { madeUpFacts, writeMadeUpRun } from './made-up.js'

const create = (dir: string, overwrite = false): Promise<ResultsWriter> =>
  ResultsWriter.create(dir, { granularity: 'unit', overwrite, facts: {} })

async function writeRun(dir: string, intervals: number): Promise<void> {
  const writer = await create(dir, true)
  writeMadeUpRun(writer, 'unit', intervals)
  await writer.commit(madeUpFacts())
}

/** Starts a process that stages a run in `dir` and returns once its parts lie there. */
async function startWriter(dir: string): Promise<ChildProcess> {
  const script = fileURLToPath(new URL('./killed-writer.js', import.meta.url))
  const child = spawn(process.execPath, [script, dir], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(child.stdout, 'data')
  return child
}

async function kill(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL')
  await once(child, 'exit')
}

function lock(dir: string, holder: object | string): void {
  mkdirSync(join(dir, '.partial'))
  writeFileSync(join(dir, '.partial/lock'), typeof holder === 'string' ? holder : JSON.stringify(holder))
}

const FINISHED = [
  'manifest.json',
  'steps',
  'steps/part-00000.parquet',
  'tensors',
  'tensors/part-00000.parquet',
  'totals',
  'totals/part-00000.parquet',
  'units',
  'units/part-00000.parquet',
]

describe('a results folder while it is written', () => {
  const folder = useFolder()

  it('shows nothing but .partial until commit, and then nothing of it', async () => {
    const writer = await create(folder())
    writeMadeUpRun(writer, 'unit', 3)
    expect(entries(folder()).filter((name) => !name.startsWith('.partial'))).to.deep.equal([])
    await writer.commit(madeUpFacts())
    expect(entries(folder())).to.deep.equal(FINISHED)
  })

  it('keeps only .partial when the writer is killed, and the next run takes over', async () => {
    const child = await startWriter(folder())
    await kill(child)
    expect(entries(folder())).to.include('.partial/steps/part-00000.parquet')
    expect(entries(folder()).filter((name) => !name.startsWith('.partial'))).to.deep.equal([])
    await writeRun(folder(), 3)
    expect(entries(folder())).to.deep.equal(FINISHED)
  })

  it('keeps the old results when a run that would replace them is killed', async () => {
    await writeRun(folder(), 3)
    const before = readFileSync(join(folder(), 'steps/part-00000.parquet'))
    await kill(await startWriter(folder()))
    expect(readFileSync(join(folder(), 'steps/part-00000.parquet')).equals(before)).to.equal(true)
    expect(existsSync(join(folder(), 'manifest.json'))).to.equal(true)
  })

  it('refuses a folder in which another process is writing', async () => {
    const child = await startWriter(folder())
    try {
      const error = await rejection(create(folder()))
      expect(error).to.be.instanceOf(UsageError)
      expect(error.message).to.include(`process ${String(child.pid)} is writing here`)
    } finally {
      await kill(child)
    }
  })

  it('refuses a folder in which this process is writing already', async () => {
    const writer = await create(folder())
    expect(await rejection(create(folder()))).to.be.instanceOf(UsageError)
    await writer.commit(madeUpFacts())
  })

  it('cannot ask about a process on another machine, so it names the file to remove', async () => {
    lock(folder(), { pid: 1, host: `not-${hostname()}`, started: '' })
    const error = await rejection(create(folder()))
    expect(error.message).to.include(`process 1 on not-${hostname()}`).and.to.include('remove that file')
  })

  it('tells a live process from a later one that was given the same id', async function () {
    if (process.platform !== 'linux') this.skip()
    lock(folder(), { pid: process.pid, host: hostname(), started: '1' })
    await (await create(folder())).discard()
    expect(entries(folder())).to.deep.equal([])
  })

  it('takes a lock file that is still empty for one that is just being written', async () => {
    lock(folder(), '')
    expect((await rejection(create(folder()))).message).to.include('has just begun to write here')
  })

  it('refuses results that are there unless they may be replaced', async () => {
    await writeRun(folder(), 3)
    const error = await rejection(create(folder()))
    expect(error).to.be.instanceOf(UsageError)
    expect(error.message).to.include('manifest.json, steps').and.to.include('--overwrite')
    expect(entries(folder())).to.deep.equal(FINISHED)
  })

  it('refuses a table folder without a manifest too', async () => {
    mkdirSync(join(folder(), 'units'))
    expect((await rejection(create(folder()))).message).to.include('holds results already (units)')
  })

  it('refuses a file, and a folder below a file', async () => {
    const file = join(folder(), 'file')
    writeFileSync(file, '')
    for (const dir of [file, join(file, 'below')]) {
      const error = await rejection(create(dir))
      expect(error).to.be.instanceOf(UsageError)
      expect(error.message).to.include(`${dir} is a file`)
    }
  })

  it('replaces old results at commit and not before', async () => {
    await writeRun(folder(), 3)
    const before = readFileSync(join(folder(), 'steps/part-00000.parquet'))
    const writer = await ResultsWriter.create(folder(), { granularity: 'tensor', overwrite: true, facts: {} })
    writeMadeUpRun(writer, 'tensor', 5)
    expect(readFileSync(join(folder(), 'steps/part-00000.parquet')).equals(before)).to.equal(true)
    await writer.commit(madeUpFacts())
    expect(entries(folder())).to.deep.equal(FINISHED.filter((name) => !name.startsWith('units')))
    expect(readFileSync(join(folder(), 'steps/part-00000.parquet')).equals(before)).to.equal(false)
  })

  it('leaves other files of the folder alone', async () => {
    writeFileSync(join(folder(), 'notes.txt'), 'mine')
    await writeRun(folder(), 3)
    expect(readFileSync(join(folder(), 'notes.txt'), 'utf8')).to.equal('mine')
  })

  it('completes a commit that was killed between two tables', async () => {
    await writeRun(folder(), 3)
    const moved = ['manifest.json', 'tensors', 'units']
    mkdirSync(join(folder(), '.partial'))
    for (const name of moved) renameSync(join(folder(), name), join(folder(), '.partial', name))
    mkdirSync(join(folder(), 'parameters'))
    expect((await rejection(create(folder()))).message).to.include('holds results already')
    expect(entries(folder())).to.deep.equal(FINISHED)
  })

  it('takes a run that was killed while it cleared up after its commit for finished', async () => {
    const identity = { tolerance: 0.001 }
    const options = { granularity: 'unit', overwrite: false, facts: {}, identity } as const
    const writer = await ResultsWriter.create(folder(), options)
    writeMadeUpRun(writer, 'unit', 3)
    await writer.commit({ ...madeUpFacts(), identity: hashOf(identity) })
    mkdirSync(join(folder(), '.partial/replay'), { recursive: true })
    writeFileSync(join(folder(), '.partial/done.json'), JSON.stringify(identity))
    const again = await ResultsWriter.create(folder(), options)
    expect(again.finished?.tables.map(({ name }) => name)).to.include('steps')
    expect(entries(folder())).to.deep.equal(FINISHED)
  })

  it('keeps new results whose commit failed half-way, and completes it with the next run', async () => {
    mkdirSync(join(folder(), 'manifest.json/in the way'), { recursive: true })
    const writer = await create(folder(), true)
    writeMadeUpRun(writer, 'unit', 3)
    await rejection(writer.commit(madeUpFacts()))
    await writer.discard()
    rmSync(join(folder(), 'manifest.json'), { recursive: true })
    expect((await rejection(create(folder()))).message).to.include('holds results already')
    expect(entries(folder())).to.deep.equal(FINISHED)
  })

  it('clears what a killed run left while it was deleting', async () => {
    mkdirSync(join(folder(), '.partial-123/steps'), { recursive: true })
    await writeRun(folder(), 3)
    expect(entries(folder())).to.deep.equal(FINISHED)
  })

  it('discards without a trace, with the folders it made', async () => {
    const writer = await create(join(folder(), 'runs/one'))
    writeMadeUpRun(writer, 'unit', 3)
    await writer.discard()
    expect(entries(folder())).to.deep.equal([])
  })

  it('discards nothing but its own: the folder and its old results stay', async () => {
    await writeRun(folder(), 3)
    const writer = await create(folder(), true)
    writeMadeUpRun(writer, 'unit', 5)
    await writer.discard()
    await writer.discard()
    expect(entries(folder())).to.deep.equal(FINISHED)
  })

  it('names the file and the remedy when its folder is removed under it', async () => {
    const writer = await create(folder())
    writeMadeUpRun(writer, 'unit', 3)
    rmSync(join(folder(), '.partial'), { recursive: true })
    const error = await rejection(writer.commit(madeUpFacts()))
    expect(error).to.be.instanceOf(ResultsError)
    expect(error.message).to.include('was removed while the run was writing')
    await writer.discard()
  })

  it('names the file and the remedy when the disk is full', function () {
    if (!existsSync('/dev/full')) this.skip()
    const sink = new FileSink('/dev/full')
    sink.appendUint32(1)
    expect(() => {
      sink.finish()
    }).to.throw(ResultsError, 'cannot write /dev/full: the disk is full')
    sink.close()
  })
})
