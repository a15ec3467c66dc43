import { existsSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { UsageError } from '../errors.js'
import { listNames } from '../listing.js'
import { runsOf } from '../tables/archive.js'
import { MANIFEST_FILE } from '../tables/manifest.js'
import { openArchive, openResults, type Results } from '../tables/read.js'

/** A run's results under the name that it is shown by. */
export interface NamedResults {
  readonly name: string
  readonly results: Results
}

/**
 * The runs of results folders and of trees of many runs, in order; names that occur twice are told apart by the folders
 * above. Throws ResultsError as opening does.
 */
export async function openRuns(dirs: readonly string[]): Promise<NamedResults[]> {
  const runs: (NamedResults & { readonly path: string })[] = []
  for (const dir of dirs) {
    const path = resolve(dir)
    if (existsSync(join(dir, MANIFEST_FILE))) {
      runs.push({ name: basename(path), path, results: await openResults(dir) })
      continue
    }
    const archive = await openArchive(dir)
    for (const [name, results] of archive.runs) runs.push({ name, path: join(path, name), results })
  }
  return runs.map(({ results, path }, i) => ({ results, name: shortestName(path, runs, i) }))
}

/**
 * One run's results: those of a folder, or a run of a tree of many by its name. Throws UsageError that names the runs where
 * the tree has several and none is named; else ResultsError as opening does.
 */
export async function openOneRun(dir: string, run: string | undefined): Promise<NamedResults> {
  if (run !== undefined) return { name: run, results: await openResults(dir, { run }) }
  const runs = existsSync(join(dir, MANIFEST_FILE)) ? [] : await runsOf(dir)
  if (runs.length > 0)
    throw new UsageError(`${dir} holds several runs; choose one with --run: ${listNames(runs)}`)
  return { name: basename(resolve(dir)), results: await openResults(dir) }
}

/** As many of the last folders of a path as tell it from the others. */
function shortestName(path: string, runs: readonly { readonly path: string }[], own: number): string {
  const parts = path.split(/[\\/]/)
  for (let count = 1; count < parts.length; count += 1) {
    const name = parts.slice(-count).join('/')
    if (!runs.some((other, i) => i !== own && `/${other.path}`.endsWith(`/${name}`))) return name
  }
  return path
}
