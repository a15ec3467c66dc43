import type { Dirent } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { compareNaturally } from '../listing.js'

/** A pattern for names: `*` stands for any characters, `?` for one. */
export function namePattern(pattern: string): RegExp {
  const escaped = pattern.replace(/[\\^$.|+()[\]{}]/g, '\\$&')
  return new RegExp(`^${escaped.replaceAll('*', '.*').replaceAll('?', '.')}$`, 's')
}

/** What a path with wildcards says: the folder before the first of them, and the parts from there on. */
export interface PathPattern {
  readonly base: string
  readonly parts: readonly string[]
}

export function pathPattern(path: string): PathPattern {
  const parts = path.split(/[\\/]/)
  const first = parts.findIndex((part) => /[*?]/.test(part))
  if (first < 0) return { base: path, parts: [] }
  const base = parts.slice(0, first).join('/')
  return { base: base === '' && first > 0 ? '/' : base || '.', parts: parts.slice(first) }
}

/**
 * The files and folders that a pattern names, in natural order. `*` and `?` stand for characters of one name, `**` for any
 * number of folders. Hidden names only where the pattern spells their dot; links to folders are followed by `*`, not by `**`.
 */
export async function expand({ base, parts }: PathPattern): Promise<string[]> {
  if (!(await exists(base))) return []
  const found = await expandParts(base, parts)
  return [...new Set(found)].sort(compareNaturally)
}

async function expandParts(folder: string, parts: readonly string[]): Promise<string[]> {
  const [part, ...rest] = parts
  if (part === undefined) return [folder]
  const below: string[] = []
  if (part === '**') {
    below.push(...(await expandParts(folder, rest)))
    for (const entry of await entriesOf(folder))
      if (entry.isDirectory() && !entry.name.startsWith('.'))
        below.push(...(await expandParts(join(folder, entry.name), parts)))
    return below
  }
  if (!/[*?]/.test(part)) {
    const path = join(folder, part)
    return (await exists(path)) ? expandParts(path, rest) : []
  }
  const pattern = namePattern(part)
  for (const { name } of await entriesOf(folder))
    if (pattern.test(name) && (part.startsWith('.') || !name.startsWith('.')))
      below.push(...(await expandParts(join(folder, name), rest)))
  return below
}

/** Entries of a folder; none of what is no folder. */
async function entriesOf(folder: string): Promise<Dirent[]> {
  return readdir(folder, { withFileTypes: true }).catch((): Dirent[] => [])
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}
