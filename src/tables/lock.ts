import { closeSync, openSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { UsageError } from '../errors.js'

/** Who writes into a folder. A process id alone may be given to another process later, so its start counts too. */
interface Holder {
  readonly pid: number
  readonly host: string
  /** The kernel's start time of the process, or '' on systems that don't show it. */
  readonly started: string
}

/** A lock file that is still empty after this long belongs to a process that died while writing it. */
const EMPTY_LOCK_MS = 10_000

/**
 * Takes the lock file `path` for this process; the lock of a process that is gone is taken over.
 * Throws UsageError when a live process holds it, or one on another machine, which can't be asked.
 */
export function acquireLock(path: string): void {
  if (tryCreate(path)) return
  refuseIfLive(path, path)
  const aside = `${path}.${process.pid}`
  renameSync(path, aside)
  try {
    refuseIfLive(aside, path)
  } catch (error) {
    renameSync(aside, path)
    throw error
  }
  rmSync(aside, { force: true })
  if (!tryCreate(path)) throw new UsageError(`another process has just begun to write here (${path})`)
}

function tryCreate(path: string): boolean {
  const holder: Holder = { pid: process.pid, host: hostname(), started: startOf(process.pid) }
  const file = createNew(path)
  if (file === undefined) return false
  try {
    writeFileSync(file, JSON.stringify(holder))
    return true
  } catch (error) {
    // the disk is full: others would take the empty file for a lock that is being written
    rmSync(path, { force: true })
    throw error
  } finally {
    closeSync(file)
  }
}

/** The descriptor of a new file; undefined where there is one of that name. */
function createNew(path: string): number | undefined {
  try {
    return openSync(path, 'wx')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return undefined
    throw error
  }
}

function refuseIfLive(file: string, lock: string): void {
  const holder = readHolder(file)
  if (holder === undefined) {
    if (Date.now() - statSync(file).mtimeMs > EMPTY_LOCK_MS) return
    throw new UsageError(`another process has just begun to write here (${lock})`)
  }
  if (holder.host !== hostname()) {
    throw new UsageError(
      `process ${holder.pid} on ${holder.host} is writing here (${lock}); if it is gone, remove that file and run again`,
    )
  }
  if (isAlive(holder)) {
    throw new UsageError(
      `process ${holder.pid} is writing here (${lock}); wait for it or choose another --out`,
    )
  }
}

function readHolder(file: string): Holder | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(file, 'utf8'))
    return isHolder(value) ? value : undefined
  } catch {
    return undefined
  }
}

function isHolder(value: unknown): value is Holder {
  if (typeof value !== 'object' || value === null) return false
  const { pid, host, started } = value as Partial<Record<keyof Holder, unknown>>
  return (
    Number.isSafeInteger(pid) && Number(pid) > 0 && typeof host === 'string' && typeof started === 'string'
  )
}

function isAlive({ pid, started }: Holder): boolean {
  try {
    process.kill(pid, 0)
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
  const now = statOf(pid)
  // a process that was killed is listed until its parent has asked how it ended
  if (now?.state === 'Z') return false
  return started === '' || now === undefined || started === now.started
}

function startOf(pid: number): string {
  return statOf(pid)?.started ?? ''
}

/** Fields 3 and 22 of /proc/PID/stat, counted behind the command's name, which may hold spaces and parentheses. */
function statOf(pid: number): { readonly state: string; readonly started: string } | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return { state: fields[0] ?? '', started: fields[19] ?? '' }
  } catch {
    return undefined
  }
}
