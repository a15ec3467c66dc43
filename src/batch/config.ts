import { readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { isMap, isNode, LineCounter, parseDocument } from 'yaml'
import type { Document } from 'yaml'
import { reasonOf, UsageError } from '../errors.js'
import { complaintOf } from './issues.js'
import type { OptionTable, OptionValue, OptionValues } from './options.js'
import { batchSchema } from './schema.js'
import type { BatchFile } from './schema.js'

/** Which runs a batch goes through. Paths are as they were written, relative to `base`. */
export interface BatchConfig {
  /** The folder that paths are relative to; '' for the one that the command is called in. */
  readonly base: string
  readonly out?: string
  readonly defaults: OptionValues
  readonly runs: readonly NamedRun[]
  readonly find: readonly Find[]
  readonly overrides: readonly Override[]
}

interface Stated {
  readonly options: OptionValues
  /** Where it is said, for messages: `batch.yaml:12`. */
  readonly where: string
}

export interface NamedRun extends Stated {
  readonly name?: string
  readonly checkpoints: string
}

export interface Find extends Stated {
  readonly path: string
  /** With `{name}` in it. */
  readonly name?: string
}

export interface Override extends Stated {
  readonly match: readonly string[]
  readonly skip: boolean
}

/** A batch of the runs in some folders. */
export function configOfFolders(folders: readonly string[]): BatchConfig {
  const find = folders.map((path) => ({ path, options: {}, where: path }))
  return { base: '', defaults: {}, runs: [], find, overrides: [] }
}

/**
 * Reads a batch file (YAML, docs/batch.md).
 * @throws UsageError when it can't be read, is no YAML, or holds unknown keys or wrong values: with file, line, key
 */
export async function readBatchFile(path: string, table: OptionTable): Promise<BatchConfig> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new UsageError(`${path}: cannot be read: ${reasonOf(error)}`)
  })
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  const places = new Places(path, document, lines)
  const [fault] = document.errors
  if (fault !== undefined) throw new UsageError(`${places.atOffset(fault.pos[0])}: no YAML: ${fault.message}`)
  return configOf(validated(document, places, table), places)
}

function validated(document: Document.Parsed, places: Places, table: OptionTable): BatchFile {
  const value: unknown = document.toJS() ?? {}
  const checked = batchSchema(table).safeParse(value, { reportInput: true })
  if (!checked.success) {
    const { path, message } = complaintOf(checked.error.issues[0]!, table)
    const key = path.length === 0 ? 'the file' : spelled(path)
    throw new UsageError(`${places.at(path)}: ${key}: ${message}`)
  }
  const { find, runs } = checked.data
  if (find === undefined && runs === undefined)
    throw new UsageError(`${places.at([])}: names no runs: add find (where runs are found) or runs (a list)`)
  return checked.data
}

function configOf(file: BatchFile, places: Places): BatchConfig {
  const { out, defaults = {}, runs = [], overrides = [] } = file
  const find = file.find === undefined ? [] : [file.find].flat()
  return {
    base: dirname(places.file),
    ...(out !== undefined && { out }),
    defaults: optionValues(defaults),
    runs: runs.map(({ name, checkpoints, ...options }, i) => ({
      ...(name !== undefined && { name }),
      checkpoints,
      options: optionValues(options),
      where: places.at(['runs', i]),
    })),
    find: find.map((one, i): Find => {
      const where = places.at(Array.isArray(file.find) ? ['find', i] : ['find'])
      if (typeof one === 'string') return { path: one, options: {}, where }
      const { path, name, ...options } = one
      return { path, ...(name !== undefined && { name }), options: optionValues(options), where }
    }),
    overrides: overrides.map(({ match, skip = false, ...options }, i) => ({
      match: [match].flat(),
      skip,
      options: optionValues(options),
      where: places.at(['overrides', i]),
    })),
  }
}

/** The options that are there; the schema has checked their values against the options' types. */
function optionValues(options: Readonly<Record<string, unknown>>): OptionValues {
  return Object.fromEntries(
    Object.entries(options).filter((entry): entry is [string, OptionValue] => entry[1] !== undefined),
  )
}

/** `runs[1].tolerance` */
function spelled(path: readonly PropertyKey[]): string {
  return path
    .map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`))
    .join('')
    .replace(/^\./, '')
}

/** Lines of a document by the keys that stand there. */
class Places {
  constructor(
    readonly file: string,
    private readonly document: Document.Parsed,
    private readonly lines: LineCounter,
  ) {}

  /** `FILE:LINE` of a key, or of the closest one around it that is there. */
  at(path: readonly PropertyKey[]): string {
    for (let length = path.length; length > 0; length -= 1) {
      const offset = this.offsetOf(path.slice(0, length))
      if (offset !== undefined) return this.atOffset(offset)
    }
    return this.file
  }

  atOffset(offset: number): string {
    return `${this.file}:${this.lines.linePos(offset).line}`
  }

  private offsetOf(path: readonly PropertyKey[]): number | undefined {
    const parent: unknown =
      path.length === 1 ? this.document.contents : this.document.getIn(path.slice(0, -1), true)
    const last = path.at(-1)
    const pair = isMap(parent) ? parent.items.find(({ key }) => String(key) === String(last)) : undefined
    const node: unknown = pair === undefined ? this.document.getIn(path, true) : pair.key
    return isNode(node) ? node.range?.[0] : undefined
  }
}
