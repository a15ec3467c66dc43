import { constants, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs'
import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import { UsageError } from '../errors.js'
import { syncFolder } from '../io/whole-file.js'
import type { ColumnInput } from './column-buffer.js'
import { diskError } from './disk-error.js'
import type { RunFacts } from './encoding.js'
import {
  manifestSchema,
  readManifest,
  type Manifest,
  type ManifestFacts,
  type TableEntry,
} from './manifest.js'
import { PartFile } from './part-file.js'
import { rowsOfPart } from './part-reader.js'
import { differences, hashOf, type Identity } from './identity.js'
import { columnsOf, TABLES, tablesAt, type Batch, type Granularity, type TableName } from './schema.js'
import { occupantsOf, Staging } from './staging.js'

export interface ResultsWriterOptions {
  /** Which tables are written; see `tablesAt`. */
  readonly granularity: Granularity
  /** Whether a part of a run is written, which has the table `blocks`. */
  readonly of?: 'run' | 'part'
  /** Whether to begin anew, replacing results that are in the folder, which happens at `commit` and not before. */
  readonly overwrite: boolean
  /** What is known of the run at its start; every file carries it as JSON. */
  readonly facts: RunFacts
  /** What the results depend on: an unfinished run in the folder is gone on with when it has the same. */
  readonly identity?: Identity
}

/** A table on its way: its finished parts and the open one. */
interface OpenTable extends TableEntry {
  part?: PartFile | undefined
}

/** Folders in `.partial`: what else an unfinished run keeps, and what it shares with other processes while it runs. */
const WORK = 'replay'
const SHARED = 'shared'

/**
 * Writes a results folder. Tables are staged in `<dir>/.partial` and become visible all at once in `commit`, the
 * manifest last; a run that fails or is killed leaves the folder's results as they were.
 * Methods throw ResultsError when the disk refuses, and RangeError when a batch does not fit the schema; a writer that
 * has thrown is good for `leave` and `discard` only.
 */
export class ResultsWriter {
  private readonly tables: ReadonlyMap<TableName, OpenTable>
  private readonly facts: RunFacts
  private closed = false

  private constructor(
    private readonly staging: Staging,
    options: ResultsWriterOptions,
    /** Whether an unfinished run of the same identity lies in the folder. */
    readonly resumed: boolean,
    /** The results, where all that an unfinished run lacked was to put them into place. */
    readonly finished: Manifest | undefined,
  ) {
    this.facts = options.facts
    const names = tablesAt(options.granularity, options.of)
    this.tables = new Map(names.map((name) => [name, { name, rows: 0, parts: 0, bytes: 0 }]))
  }

  /**
   * Opens `dir`, making it where needed. Throws UsageError when it is a file, when it holds results or an unfinished run
   * of another identity and `overwrite` is not given, or when another process is writing there.
   */
  static async create(dir: string, options: ResultsWriterOptions): Promise<ResultsWriter> {
    const staging = await Staging.open(dir)
    try {
      const finished = await finishedNow(dir, staging, options)
      if (finished !== undefined) {
        await staging.discard()
        return new ResultsWriter(staging, options, true, finished)
      }
      return new ResultsWriter(staging, options, await resume(dir, staging, options), undefined)
    } catch (error) {
      if ((await staging.unfinished()) === undefined) await staging.discard()
      else await staging.leave()
      throw error
    }
  }

  /** A folder for what else the run keeps until it is committed. */
  get work(): string {
    return this.folder(WORK)
  }

  /** A folder for files of this process and its children, empty at first. */
  get shared(): string {
    return this.folder(SHARED)
  }

  /** Appends `rows` rows; a column is an array of that length or a scalar for all rows. The arrays are copied. */
  append<T extends TableName>(name: T, rows: number, batch: Batch<T>): void {
    const table = this.tables.get(name)
    if (table === undefined || this.closed) throw new RangeError(`table ${name} is not open for writing`)
    const inputs = inputsOf(name, rows, batch)
    if (rows === 0) return
    table.part ??= this.openPart(table)
    table.part.append(rows, inputs)
  }

  /** Closes the parts of the per-interval tables: the rows appended next begin new ones. Returns the tables so far. */
  endBlock(): readonly TableEntry[] {
    for (const table of this.tables.values()) {
      if (TABLES[table.name].rowsOf === 'interval' && this.closePart(table)) this.sync(table.name)
    }
    this.sync()
    return this.entries()
  }

  /** Goes on behind the parts that an unfinished run had closed; whatever else it had written is removed. */
  restore(entries: readonly TableEntry[]): void {
    for (const table of this.tables.values()) {
      const entry = entries.find(({ name }) => name === table.name) ?? { rows: 0, parts: 0, bytes: 0 }
      const { rows, parts, bytes } = entry
      Object.assign(table, { rows, parts, bytes })
      this.removeBehind(table)
    }
  }

  /** Takes finished files of the table over as its next parts. */
  async adopt(name: TableName, paths: readonly string[]): Promise<void> {
    const table = this.tables.get(name)
    if (table === undefined || table.part !== undefined)
      throw new RangeError(`table ${name} is not open for parts`)
    this.folder(name)
    for (const path of paths) {
      const copy = this.pathOfPart(table)
      try {
        await copyFile(path, copy, constants.COPYFILE_FICLONE)
      } catch (error) {
        throw diskError(copy, error)
      }
      table.rows += await rowsOfPart(path)
      table.bytes += statSync(copy).size
      table.parts += 1
    }
  }

  /** Puts everything into place, replacing older results; returns the manifest with the tables' sizes. */
  async commit(facts: ManifestFacts): Promise<Manifest> {
    for (const table of this.tables.values()) {
      if (table.parts === 0) table.part ??= this.openPart(table)
      this.closePart(table)
    }
    const manifest = manifestSchema.parse({ ...facts, tables: this.entries() })
    await this.staging.commit(manifest)
    this.closed = true
    return manifest
  }

  /** Keeps what was written for a later run to go on from. Does nothing after `commit`. */
  async leave(): Promise<void> {
    if (!this.close()) return
    rmSync(this.shared, { recursive: true, force: true })
    await this.staging.leave()
  }

  /** Removes all that was written, and the folder if it was made for it; older results stay. Does nothing after `commit`. */
  async discard(): Promise<void> {
    if (this.close()) await this.staging.discard()
  }

  /** Returns whether it was open. */
  private close(): boolean {
    if (this.closed) return false
    this.closed = true
    for (const table of this.tables.values()) table.part?.abandon()
    return true
  }

  private entries(): TableEntry[] {
    return [...this.tables.values()].map(({ name, rows, parts, bytes }) => ({ name, rows, parts, bytes }))
  }

  private folder(name: string): string {
    const folder = join(this.staging.partial, name)
    try {
      mkdirSync(folder, { recursive: true })
    } catch (error) {
      throw diskError(folder, error)
    }
    return folder
  }

  private openPart(table: OpenTable): PartFile {
    this.folder(table.name)
    return new PartFile(this.pathOfPart(table), table.name, this.facts)
  }

  /** Puts the names of a table's parts on the disk, or the names of the folders. */
  private sync(name = ''): void {
    const folder = join(this.staging.partial, name)
    try {
      syncFolder(folder)
    } catch (error) {
      throw diskError(folder, error)
    }
  }

  /** Returns whether there was one. */
  private closePart(table: OpenTable): boolean {
    if (table.part === undefined) return false
    const { rows } = table.part.finish()
    table.part = undefined
    table.rows += rows
    table.bytes += statSync(this.pathOfPart(table)).size
    table.parts += 1
    return true
  }

  private pathOfPart({ name, parts }: Pick<OpenTable, 'name' | 'parts'>): string {
    return join(this.staging.partial, name, partName(parts))
  }

  private removeBehind({ name, parts }: OpenTable): void {
    const folder = join(this.staging.partial, name)
    const kept = new Set(Array.from({ length: parts }, (_, part) => partName(part)))
    for (const file of filesOf(folder)) if (!kept.has(file)) rmSync(join(folder, file), { force: true })
  }
}

function partName(part: number): string {
  return `part-${String(part).padStart(5, '0')}.parquet`
}

function filesOf(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

/** The results of the same run whose commit a killed process had begun, and which was completed just now. */
async function finishedNow(
  dir: string,
  { completed }: Staging,
  { overwrite, identity }: ResultsWriterOptions,
): Promise<Manifest | undefined> {
  if (!completed || overwrite || identity === undefined) return undefined
  const manifest = await readManifest(dir)
  const { intervals, ...inputs } = identity
  const same = manifest.identity === hashOf(inputs) && sameJson(manifest.options.intervals, intervals)
  return same ? manifest : undefined
}

function sameJson(a: unknown, b: unknown): boolean {
  return JSON.stringify(a ?? null) === JSON.stringify(b ?? null)
}

/** Whether to go on with what lies in the folder; otherwise the folder is made ready to begin. */
async function resume(dir: string, staging: Staging, options: ResultsWriterOptions): Promise<boolean> {
  const { overwrite, identity = {} } = options
  const unfinished = overwrite ? undefined : await staging.unfinished()
  if (unfinished === undefined) {
    refuseOccupied(dir, staging.occupants(), overwrite)
    await staging.begin(identity)
    return false
  }
  const different = differences(unfinished as Identity, identity)
  if (different.length === 0) return true
  throw new UsageError(
    `${dir} holds an unfinished run with other options: ${different.join('; ')}. ` +
      'Give the same to go on with it, choose another --out, or add --overwrite to begin anew',
  )
}

/**
 * Throws UsageError when a folder holds results, nothing unfinished, and `overwrite` is not given.
 * `ResultsWriter.create` checks it again; asked before any work it spares a user the wait.
 */
export function assertFree(dir: string, overwrite: boolean): void {
  if (filesOf(join(dir, '.partial')).length === 0) refuseOccupied(dir, occupantsOf(dir), overwrite)
}

function refuseOccupied(dir: string, occupants: readonly string[], overwrite: boolean): void {
  if (occupants.length === 0 || overwrite) return
  throw new UsageError(
    `${dir} holds results already (${occupants.join(', ')}); choose another --out or add --overwrite`,
  )
}

/** The batch's columns in the table's order, each checked to hold a scalar or `rows` values. */
function inputsOf<T extends TableName>(table: T, rows: number, batch: Batch<T>): ColumnInput[] {
  const given: Readonly<Record<string, ColumnInput | undefined>> = batch
  return columnsOf(table).map(({ name }) => {
    const input = given[name]
    if (input === undefined) throw new RangeError(`table ${table}: column ${name} is missing`)
    if (typeof input === 'object' && input.length !== rows) {
      throw new RangeError(`table ${table}: column ${name} has ${input.length} values for ${rows} rows`)
    }
    return input
  })
}
