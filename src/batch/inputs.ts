import { createHash } from 'node:crypto'
import { readdirSync, statSync } from 'node:fs'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { mapPath, pathsIn } from './options.js'
import type { OptionTable } from './options.js'
import type { PlannedRun } from './plan.js'

/** What the results of a run depend on, by what a message calls it: values of options, and `files of NAME` as hashes. */
export type RunInputs = Readonly<Record<string, unknown>>

const FILES = 'files of '

/**
 * What a run's results depend on: its options, and names, sizes and times of change of all files that it reads (their
 * content is not read: an archive may hold terabytes). Paths are relative to `out`, so that both can be moved together.
 * Asked one after another and synchronously, which is many times quicker for small answers.
 */
export function inputsOf({ checkpoints, options }: PlannedRun, out: string, table: OptionTable): RunInputs {
  const seen = (path: string): string => relative(resolve(out), resolve(path)).replaceAll('\\', '/')
  const inputs: Record<string, unknown> = {
    checkpoints: seen(checkpoints),
    [`${FILES}checkpoints`]: filesHash([checkpoints]),
  }
  for (const [name, spec] of Object.entries(table)) {
    const value = options[name]
    if (value === undefined || spec.inert === true) continue
    inputs[name] = mapPath(spec, value, seen)
    const paths = pathsIn(spec, value)
    if (paths.length > 0) inputs[`${FILES}${name}`] = filesHash(paths)
  }
  return inputs
}

/** What differs, for people: `tolerance was 0.001, is 0.01`; empty where nothing does. */
export function differences(before: RunInputs, now: RunInputs): string[] {
  const names = [...new Set([...Object.keys(now), ...Object.keys(before)])]
  return names
    .filter((name) => JSON.stringify(before[name]) !== JSON.stringify(now[name]))
    .map((name) =>
      name.startsWith(FILES)
        ? `${name} changed`
        : `${name} was ${shown(before[name])}, is ${shown(now[name])}`,
    )
}

function shown(value: unknown): string {
  if (value === undefined) return 'not given'
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function filesHash(paths: readonly string[]): string {
  const lines: string[] = []
  for (const path of paths) addFiles(path, lines)
  return createHash('sha256').update(lines.join('\n')).digest('hex')
}

/** A folder's files at any depth; a file, and those whose names go on from its own (`model.onnx.data`). */
function addFiles(path: string, lines: string[]): void {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) {
    addFolder(path, '', lines)
    return
  }
  const [folder, name] = [dirname(path), basename(path)]
  for (const entry of names(folder)) if (entry.startsWith(name)) addFile(join(folder, entry), entry, lines)
}

function addFolder(folder: string, prefix: string, lines: string[]): void {
  for (const name of names(folder)) {
    const path = join(folder, name)
    const isFile = addFile(path, `${prefix}${name}`, lines)
    if (!isFile) addFolder(path, `${prefix}${name}/`, lines)
  }
}

/** Adds what is known of a file without reading it; returns false for a folder. */
function addFile(path: string, name: string, lines: string[]): boolean {
  const stats = statSync(path, { throwIfNoEntry: false })
  if (stats?.isDirectory() === true) return false
  if (stats !== undefined) lines.push(JSON.stringify([name, stats.size, stats.mtimeMs]))
  return true
}

/** Names in a folder, less hidden ones; none where it can't be read, which the run itself complains of. */
function names(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => !name.startsWith('.'))
      .sort()
  } catch {
    return []
  }
}
