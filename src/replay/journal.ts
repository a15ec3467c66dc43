import { readFileSync, renameSync, rmSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { uptime } from 'node:os'
import { join } from 'node:path'
import { Journal } from '../io/journal.js'
import { diskError } from '../tables/disk-error.js'
import type { ReplayRecord } from './records.js'

export const JOURNAL_FILE = 'journal'

/**
 * What a replay has finished, in a file that survives the process being killed and the disk running full at any byte.
 * Arrays lie in files beside it, each written whole before a record speaks of it. Files that the system had not yet
 * brought to the disk are lost when the machine itself stops: after that only what was synced counts.
 */
export class ReplayJournal {
  private constructor(
    private readonly folder: string,
    private readonly journal: Journal,
    private count: number,
  ) {}

  /**
   * Opens the journal of a folder. Throws ResultsError when the disk refuses.
   * @param boot tells one start of the system from another
   */
  static open(
    folder: string,
    boot = bootOf(),
  ): {
    readonly journal: ReplayJournal
    readonly records: readonly ReplayRecord[]
  } {
    try {
      const opened = trusted(join(folder, JOURNAL_FILE), boot)
      const journal = new ReplayJournal(folder, opened.journal, opened.records.length)
      journal.append({ kind: 'begin', boot })
      return { journal, records: opened.records }
    } catch (error) {
      throw diskError(join(folder, JOURNAL_FILE), error)
    }
  }

  append(record: ReplayRecord): void {
    try {
      this.journal.append(record)
      this.count += 1
    } catch (error) {
      throw diskError(join(this.folder, JOURNAL_FILE), error)
    }
  }

  /**
   * Brings the files that the records so far rest on to the disk, and says so in the journal.
   * @param names of the files, in the journal's folder
   */
  async sync(names: Iterable<string>): Promise<void> {
    const records = this.count
    try {
      for (const name of names) await syncFile(join(this.folder, name))
      if (process.platform !== 'win32') await syncFile(this.folder)
      this.append({ kind: 'synced', records })
      this.journal.sync()
    } catch (error) {
      throw diskError(this.folder, error)
    }
  }

  close(): void {
    this.journal.close()
  }
}

/** The records that can be relied on: all while the machine ran on, else those before the last sync. */
function trusted(path: string, boot: string): { journal: Journal; records: ReplayRecord[] } {
  const opened = Journal.open(path)
  const records = opened.records as ReplayRecord[]
  const begun = records.findLast((record) => record.kind === 'begin')
  if (begun === undefined || begun.boot === boot) return { journal: opened.journal, records }
  const synced = records.findLast((record) => record.kind === 'synced')
  opened.journal.close()
  const kept = records.slice(0, synced?.records ?? 0)
  // it counts from now on however often the machine stops: files that only earlier records speak of may be gone
  kept.push({ kind: 'synced', records: kept.length })
  const next = `${path}.next`
  rmSync(next, { force: true })
  const { journal } = Journal.open(next)
  for (const record of kept) journal.append(record)
  journal.sync()
  renameSync(next, path)
  return { journal, records: kept }
}

/** Work files that come and go while they are synced are no concern: no record speaks of them. */
async function syncFile(path: string): Promise<void> {
  try {
    const file = await open(path, 'r')
    try {
      await file.sync()
    } finally {
      await file.close()
    }
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return
    throw error
  }
}

/** Tells one start of the system from another. */
function bootOf(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    const minutes = Math.round((Date.now() / 1000 - uptime()) / 60)
    return `started in minute ${minutes}`
  }
}
