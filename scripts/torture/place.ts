import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { ReplayRecord } from '../../src/replay/records.js'

/** What a run was at when it was killed, told from what it left. */
export const PLACES = [
  'starting',
  'before the first interval',
  'among intervals',
  'end of a block',
  'Fisher information',
  'writing totals',
  'commit',
  'after the commit',
] as const
export type Place = (typeof PLACES)[number]

/** @param started when the killed process began, in milliseconds: older files are not its work */
export function placeOf(out: string, started: number): Place {
  const partial = join(out, '.partial')
  if (!existsSync(partial)) return existsSync(join(out, 'manifest.json')) ? 'after the commit' : 'starting'
  if (['manifest.json', 'manifest.json.tmp', 'done.json'].some((name) => existsSync(join(partial, name))))
    return 'commit'
  const journal = join(partial, 'replay/journal')
  if (!isSince(journal, started)) return 'starting'
  if (namesIn(join(partial, 'totals')).some((name) => isSince(join(partial, 'totals', name), started)))
    return 'writing totals'
  return placeInJournal(partial, recordsOf(journal))
}

function placeInJournal(partial: string, records: readonly ReplayRecord[]): Place {
  if (!records.some(({ kind }) => kind === 'interval')) return 'before the first interval'
  if (records.some(({ kind }) => kind === 'fisher')) return 'Fisher information'
  const advance = records.findLast((record) => record.kind === 'advance')
  const closed = advance?.tables.find(({ name }) => name === 'steps')?.parts ?? 0
  const parts = namesIn(join(partial, 'steps')).filter((name) => name.endsWith('.parquet')).length
  const synced = records.findLastIndex(({ kind }) => kind === 'synced')
  const advanced = records.findLastIndex(({ kind }) => kind === 'advance')
  return parts > closed || advanced > synced ? 'end of a block' : 'among intervals'
}

function recordsOf(journal: string): ReplayRecord[] {
  const lines = readFileSync(journal, 'utf8').split('\n')
  return lines.slice(0, -1).map((line) => JSON.parse(line.slice(line.indexOf(' ') + 1)) as ReplayRecord)
}

export function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

function isSince(path: string, moment: number): boolean {
  try {
    return statSync(path).mtimeMs >= moment
  } catch {
    return false
  }
}
