import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { existsSync } from 'node:fs'
import { ResultsError } from '../errors.js'
import { compareNaturally, listNames } from '../listing.js'
import { MANIFEST_FILE } from './manifest.js'
import type { TableName } from './schema.js'

/** Where a tree of many runs keeps the manifests, one folder per run. */
export const RUNS_FOLDER = 'runs'

/** The folder of a run's part of a table: `steps/run=NAME`, which readers of Parquet turn into a column `run`. */
export function tableFolder(dir: string, table: TableName, run: string): string {
  return join(dir, table, `run=${run}`)
}

export function manifestPath(dir: string, run: string): string {
  return join(dir, RUNS_FOLDER, run, MANIFEST_FILE)
}

/** Names of the finished runs of a tree in natural order; none where the folder is no tree. */
export async function runsOf(dir: string): Promise<string[]> {
  const names = await readdir(join(dir, RUNS_FOLDER)).catch((): string[] => [])
  return names.filter((name) => existsSync(manifestPath(dir, name))).sort(compareNaturally)
}

/** Throws ResultsError where a tree holds no such run. */
export async function requireRun(dir: string, run: string): Promise<void> {
  const runs = await runsOf(dir)
  if (runs.includes(run)) return
  throw new ResultsError(
    runs.length === 0
      ? `${dir} holds no finished runs of a batch; name the folder that was given as --out`
      : `${dir} holds no finished run ${run}, only ${listNames(runs)}`,
  )
}
