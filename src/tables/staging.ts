import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rename, rm, rmdir, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { UsageError } from '../errors.js'
import { syncFolder, writeWhole } from '../io/whole-file.js'
import { diskError } from './disk-error.js'
import { acquireLock } from './lock.js'
import { MANIFEST_FILE, readManifest, type Manifest } from './manifest.js'
import { TABLE_NAMES } from './schema.js'

/** Everything that a run writes lies here until it is committed. */
const PARTIAL = '.partial'
const LOCK = 'lock'
/** What the run is whose parts lie in `.partial`. */
const RUN = 'run.json'
/** What `RUN` is called once the results are in place and nothing but `.partial` itself is left to be removed. */
const DONE = 'done.json'
/** Files of another process may still come while a folder is removed. */
const REMOVED = { recursive: true, force: true, maxRetries: 5 } as const

/**
 * The folder `.partial` of a results folder, held by a lock. Results become visible in `commit` only, which is journalled:
 * once the new manifest lies in `.partial`, the next holder of the lock completes what a killed process left.
 */
export class Staging {
  readonly partial: string
  /** Whether a commit that a killed process had begun was completed when the folder was opened. */
  completed = false

  private constructor(
    readonly dir: string,
    /** The outermost folder that had to be made, if any. */
    private readonly made: string | undefined,
  ) {
    this.partial = join(dir, PARTIAL)
  }

  /**
   * Makes `dir` where needed, takes its lock and completes a commit that was begun. What an unfinished run left stays until
   * `begin`. Throws UsageError when the folder can't be used.
   */
  static async open(dir: string): Promise<Staging> {
    const staging = new Staging(dir, await makeFolder(dir))
    try {
      await staging.lock()
      if (await staging.complete()) {
        await staging.lock()
        staging.completed = true
      }
    } catch (error) {
      throw diskError(staging.partial, error)
    }
    return staging
  }

  /** What the unfinished run is that lies here, as its `begin` said; undefined where there is none. */
  async unfinished(): Promise<unknown> {
    const text = await readFile(join(this.partial, RUN), 'utf8').catch(() => undefined)
    try {
      return text === undefined ? undefined : (JSON.parse(text) as unknown)
    } catch {
      return undefined
    }
  }

  /** Clears what other runs left, and says what the run is that begins. */
  async begin(run: unknown): Promise<void> {
    try {
      await this.clear()
      await writeWhole(join(this.partial, RUN), `${JSON.stringify(run, null, 2)}\n`)
      syncFolder(this.partial)
    } catch (error) {
      throw diskError(this.partial, error)
    }
  }

  /** Leaves everything in `.partial` as it is, for a later run to go on from. */
  async leave(): Promise<void> {
    await rm(join(this.partial, LOCK), { force: true })
  }

  /** Names of what a finished run has left in the folder. */
  occupants(): string[] {
    return occupantsOf(this.dir)
  }

  /** Puts the staged tables and the manifest into place, the manifest last; they replace what is there. */
  async commit(manifest: Manifest): Promise<void> {
    try {
      for (const { name } of manifest.tables) syncFolder(join(this.partial, name))
      await writeWhole(join(this.partial, MANIFEST_FILE), `${JSON.stringify(manifest, null, 2)}\n`)
      syncFolder(this.partial)
      await this.moveIntoPlace()
    } catch (error) {
      throw diskError(this.dir, error)
    }
  }

  /**
   * Removes `.partial`, and `dir` with the folders above it that were made for it. Where a commit failed half-way the
   * new results are whole but lie in both places: they are kept for the next holder of the lock to complete.
   */
  async discard(): Promise<void> {
    if (existsSync(join(this.partial, MANIFEST_FILE))) {
      await this.leave()
      return
    }
    await this.release()
    if (this.made === undefined) return
    for (let folder = resolve(this.dir); ; folder = dirname(folder)) {
      const removed = await rmdir(folder).then(
        () => true,
        () => false,
      )
      if (!removed || folder === this.made) return
    }
  }

  private async lock(): Promise<void> {
    await mkdir(this.partial, { recursive: true })
    acquireLock(join(this.partial, LOCK))
  }

  /** Brings a commit to its end that a killed process had begun. Returns whether there was one. */
  private async complete(): Promise<boolean> {
    if (existsSync(join(this.partial, MANIFEST_FILE))) await this.moveIntoPlace()
    else if (existsSync(join(this.partial, DONE))) await this.release()
    else return false
    return true
  }

  /** Removes what dead runs left: their parts, and a `.partial` that was being deleted. */
  private async clear(): Promise<void> {
    await this.empty()
    for (const entry of await readdir(this.dir)) {
      if (entry.startsWith(`${PARTIAL}-`)) await rm(join(this.dir, entry), REMOVED)
    }
  }

  /** Empties `.partial`, which stays locked. What says that there is something to go on with goes first. */
  private async empty(): Promise<void> {
    await rm(join(this.partial, RUN), { force: true })
    for (const entry of await readdir(this.partial)) {
      if (entry !== LOCK && entry !== DONE) await rm(join(this.partial, entry), REMOVED)
    }
  }

  /** Every step can be repeated: a table that is no longer staged has been moved already. */
  private async moveIntoPlace(): Promise<void> {
    const { tables } = await readManifest(this.partial)
    const kept = new Set<string>(tables.map(({ name }) => name))
    await rm(join(this.dir, MANIFEST_FILE), { force: true })
    for (const name of TABLE_NAMES) {
      const staged = join(this.partial, name)
      const moves = existsSync(staged)
      if (moves || !kept.has(name)) await rm(join(this.dir, name), { recursive: true, force: true })
      if (moves) await rename(staged, join(this.dir, name))
    }
    if (existsSync(join(this.partial, RUN))) await rename(join(this.partial, RUN), join(this.partial, DONE))
    await rename(join(this.partial, MANIFEST_FILE), join(this.dir, MANIFEST_FILE))
    syncFolder(this.dir)
    await this.release()
  }

  /**
   * Removes `.partial`: first what is in it, which takes a while, under the lock, so that the next holder of the lock does
   * what a killed process left to do. Then it is renamed, since another process may take the lock while it is removed.
   */
  private async release(): Promise<void> {
    if (!existsSync(this.partial)) return
    await this.empty()
    const doomed = `${this.partial}-${process.pid}`
    await rename(this.partial, doomed)
    await rm(doomed, REMOVED)
  }
}

/** Names of what a finished run has left in a folder, which need not exist. */
export function occupantsOf(dir: string): string[] {
  return [MANIFEST_FILE, ...TABLE_NAMES].filter((name) => existsSync(join(dir, name)))
}

async function makeFolder(dir: string): Promise<string | undefined> {
  const missing: string[] = []
  for (let folder = resolve(dir); !existsSync(folder); folder = dirname(folder)) missing.unshift(folder)
  try {
    // one by one: a recursive mkdir never returns on file systems that refuse new folders by ENOENT (/proc)
    for (const folder of missing) await mkdir(folder)
    if (!(await stat(dir)).isDirectory()) throw Object.assign(new Error(), { code: 'EEXIST' })
    return missing[0]
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'EEXIST' || code === 'ENOTDIR') {
      throw new UsageError(`${dir} is a file, or lies below one; --out names a folder`, { cause: error })
    }
    if (code === 'ENOENT') throw new UsageError(`${dir}: no folder can be made there`, { cause: error })
    throw diskError(dir, error)
  }
}
