import { existsSync } from 'node:fs'
import { mkdir, readFile, rename, rm, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod'
import { UsageError } from '../errors.js'
import { syncFolder, writeWhole } from '../io/whole-file.js'
import { manifestPath, RUNS_FOLDER, tableFolder } from '../tables/archive.js'
import { diskError } from '../tables/disk-error.js'
import { acquireLock } from '../tables/lock.js'
import { MANIFEST_FILE, readManifest } from '../tables/manifest.js'
import { TABLE_NAMES } from '../tables/schema.js'
import type { RunInputs } from './inputs.js'

/** Runs on their way, each a results folder of its own. */
const WORK = '.runs'
const LOCK = '.batch.lock'
const INPUTS = 'inputs.json'
const LAST = 'batch.json'

const inputsSchema = z.record(z.string(), z.unknown())

/**
 * The results of many runs as one tree: `steps/run=NAME/part-*.parquet` and so on, `runs/NAME/manifest.json`. A run is
 * replayed in `.runs/NAME/` and moved into the tree when it is complete, its manifest last; a move that was cut off is
 * completed by the next holder of the lock. Methods throw ResultsError where the disk refuses.
 */
export class BatchTree {
  private constructor(readonly out: string) {}

  /**
   * Opens the tree, making its folder where needed.
   * @throws UsageError when the folder holds the results of a single run, or another process writes there
   */
  static async open(out: string): Promise<BatchTree> {
    if (existsSync(join(out, MANIFEST_FILE)))
      throw new UsageError(`${out} holds the results of a single run; choose another --out for a batch`)
    try {
      await mkdir(join(out, WORK), { recursive: true })
      acquireLock(join(out, LOCK))
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : undefined
      if (code === 'EEXIST' || code === 'ENOTDIR')
        throw new UsageError(`${out} is a file, or lies below one; --out names a folder`, { cause: error })
      throw diskError(out, error)
    }
    return new BatchTree(out)
  }

  /** The folder in which a run is replayed. */
  work(name: string): string {
    return join(this.out, WORK, name)
  }

  /** What the finished results of a run were made from; undefined where there are none. */
  async finished(name: string): Promise<RunInputs | undefined> {
    const folder = join(this.out, RUNS_FOLDER, name)
    return existsSync(join(folder, MANIFEST_FILE)) ? readInputs(folder) : undefined
  }

  /** What the begun replay of a run is made from; undefined where none was begun. */
  async begun(name: string): Promise<RunInputs | undefined> {
    return readInputs(this.work(name))
  }

  /** Notes what a replay is made from, before it begins. */
  begin(name: string, inputs: RunInputs): Promise<void> {
    return this.writing(async () => {
      await mkdir(this.work(name), { recursive: true })
      await writeWhole(join(this.work(name), INPUTS), `${JSON.stringify(inputs, null, 2)}\n`)
    })
  }

  /** Forgets what a run was made from, so that it is replayed anew; its results stay until then. */
  forget(name: string): Promise<void> {
    return this.writing(async () => {
      await rm(join(this.out, RUNS_FOLDER, name, INPUTS), { force: true })
      await rm(join(this.work(name), INPUTS), { force: true })
    })
  }

  /** Completes what a killed process left half moved, and drops results that are not of a whole run. */
  async settle(name: string): Promise<void> {
    if (!existsSync(join(this.work(name), MANIFEST_FILE))) return
    const { status } = await readManifest(this.work(name))
    if (status === 'complete') await this.place(name)
    else await this.writing(() => rm(this.work(name), { recursive: true, force: true }))
  }

  /** Moves a complete run into the tree. Every step can be repeated: what is no longer there has been moved already. */
  async place(name: string): Promise<void> {
    const work = this.work(name)
    const { tables } = await readManifest(work)
    const kept = new Set<string>(tables.map((table) => table.name))
    await this.writing(async () => {
      await rm(manifestPath(this.out, name), { force: true })
      for (const table of TABLE_NAMES) {
        const [from, to] = [join(work, table), tableFolder(this.out, table, name)]
        if (existsSync(from) || !kept.has(table)) await rm(to, { recursive: true, force: true })
        if (existsSync(from)) await moveFolder(from, to, join(this.out, table))
        else if (!kept.has(table)) await rmdir(join(this.out, table)).catch(() => undefined)
      }
      const folder = join(this.out, RUNS_FOLDER, name)
      await mkdir(folder, { recursive: true })
      if (existsSync(join(work, INPUTS))) await rename(join(work, INPUTS), join(folder, INPUTS))
      await rename(join(work, MANIFEST_FILE), join(folder, MANIFEST_FILE))
      syncFolder(folder)
      await rm(work, { recursive: true, force: true })
    })
  }

  /** Keeps what came of the batch's runs, beside the results. */
  report(facts: unknown): Promise<void> {
    return this.writing(() => writeWhole(join(this.out, LAST), `${JSON.stringify(facts, null, 2)}\n`))
  }

  /** Gives the lock back; what was begun and not finished stays. */
  async close(): Promise<void> {
    await rmdir(join(this.out, WORK)).catch(() => undefined)
    await rm(join(this.out, LOCK), { force: true })
  }

  private async writing(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      throw diskError(this.out, error)
    }
  }
}

async function moveFolder(from: string, to: string, parent: string): Promise<void> {
  await mkdir(parent, { recursive: true })
  await rename(from, to)
  syncFolder(parent)
}

async function readInputs(folder: string): Promise<RunInputs | undefined> {
  const text = await readFile(join(folder, INPUTS), 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  try {
    return inputsSchema.parse(JSON.parse(text))
  } catch {
    return undefined
  }
}
