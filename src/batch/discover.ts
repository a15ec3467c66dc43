import type { Dirent } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { extname, join, relative, resolve } from 'node:path'
import { reasonOf, UsageError } from '../errors.js'
import { compareNaturally } from '../listing.js'
import { countCheckpoints, ordinaryFolders } from '../trajectory/nested-folder.js'
import { expand, pathPattern } from './glob.js'
import { nameOf } from './names.js'

/** Folders looked into before the search is given up. */
const MAX_FOLDERS = 100_000

/** A run that was found: where its checkpoints lie, and what it is called. */
export interface FoundRun {
  readonly checkpoints: string
  readonly name: string
}

export interface Discovery {
  readonly runs: readonly FoundRun[]
  /** Folders with a single checkpoint, from which nothing can be replayed. */
  readonly single: readonly string[]
}

/**
 * The runs at a path, in natural order: every folder there that holds checkpoints by their names, as a trajectory is
 * recognised, at any depth. Of a pattern (`archive/*\/checkpoints`) whatever it names; files too, which hold many saves.
 *
 * @param without a folder that is not looked into: that of the results
 * @throws UsageError when nothing is there
 */
export async function discover(path: string, without?: string): Promise<Discovery> {
  const pattern = pathPattern(path)
  const matches = await expand(pattern)
  if (matches.length === 0) throw new UsageError(`${path}: there is no such file or folder`)
  const walk = new Walk(without === undefined ? undefined : resolve(without))
  for (const match of matches) await walk.visit(match, true)
  if (walk.found.length === 0) throw new UsageError(nothingAt(path, walk.single))
  const runs = walk.found.sort(compareNaturally).map((checkpoints) => ({
    checkpoints,
    name: nameOf(checkpoints, relativeName(pattern.base, checkpoints)),
  }))
  return { runs, single: walk.single }
}

/** The path below `base`, less a file's extension: `a/weights` of `archive/a/weights.h5`. */
function relativeName(base: string, path: string): string {
  const extension = extname(path)
  const isName = /^\.[a-z]\w*$/i.test(extension)
  return relative(base, isName ? path.slice(0, -extension.length) : path)
}

function nothingAt(path: string, single: readonly string[]): string {
  const [one] = single
  return one === undefined
    ? `${path}: no folder there holds checkpoints (by their names; \`retrograd inspect FOLDER\` says what a folder holds)`
    : `${path}: no folder there holds several checkpoints, only one each, as ${one}`
}

class Walk {
  readonly found: string[] = []
  readonly single: string[] = []
  private visited = 0

  constructor(private readonly without: string | undefined) {}

  /** @param named whether the path was named, and not come upon: then a file is a run */
  async visit(path: string, named: boolean): Promise<void> {
    if (resolve(path) === this.without) return
    if ((this.visited += 1) > MAX_FOLDERS)
      throw new UsageError(
        `${path}: more than ${MAX_FOLDERS} folders to look into; name a folder further down`,
      )
    if (named && (await stat(path)).isFile()) {
      this.found.push(path)
      return
    }
    const entries = await readdir(path, { withFileTypes: true }).catch((error: unknown): Dirent[] => {
      throw new UsageError(`${path}: cannot be looked into: ${reasonOf(error)}`)
    })
    const count = countCheckpoints(entries)
    if (count > 1) this.found.push(path)
    else {
      if (count === 1) this.single.push(path)
      for (const folder of ordinaryFolders(entries)) await this.visit(join(path, folder), false)
    }
  }
}
