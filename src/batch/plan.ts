import { isAbsolute, join } from 'node:path'
import { UsageError } from '../errors.js'
import { listNames } from '../listing.js'
import type { BatchConfig, Override } from './config.js'
import { discover } from './discover.js'
import { namePattern } from './glob.js'
import { nameKey, nameOf, runFolder } from './names.js'
import { mapPath } from './options.js'
import type { OptionTable, OptionValue, OptionValues } from './options.js'

/** A run of a batch: its checkpoints and all options that are given for it. Paths are relative to the working folder. */
export interface PlannedRun {
  readonly name: string
  readonly checkpoints: string
  readonly options: OptionValues
  /** Where it is named or was found, for messages. */
  readonly where: string
}

export interface Plan {
  readonly out: string
  readonly runs: readonly PlannedRun[]
  /** What was found and left out. */
  readonly notes: readonly string[]
}

/** What the command line says for all runs, over a file's defaults. */
export interface Given {
  readonly options: OptionValues
  readonly out?: string
}

interface Named extends PlannedRun {
  /** The options of its own, after which overrides by pattern come or not. */
  readonly own: OptionValues
}

/**
 * Finds the runs of a batch, names them and puts their options together: defaults, those of the place where a run was
 * found, those of overrides in their order, the run's own. `{run}` in a path stands for the run's folder, `{name}` for
 * its name.
 *
 * @throws UsageError where a path leads nowhere, two runs have one name, an override fits none, or an option is missing
 */
export async function planBatch(config: BatchConfig, given: Given, table: OptionTable): Promise<Plan> {
  const out = given.out ?? (config.out === undefined ? undefined : inside(config.base, config.out))
  if (out === undefined) throw new UsageError('--out is missing: the folder that results are written to')
  const notes: string[] = []
  const named = [...ownRuns(config, table), ...(await foundRuns(config, table, out, notes))]
  refuseClashes(named)
  const kept = named.filter(({ name }) => !overridesOf(config, name).some(({ skip }) => skip))
  refuseUseless(config, named)
  if (kept.length === 0) throw new UsageError('overrides skip every run: nothing is left to replay')
  const placed = placedIn(config.base, table)
  const defaults = { ...placed(config.defaults), ...given.options }
  const runs = kept.map((run): PlannedRun => {
    const { name, checkpoints, where, options, own } = run
    const overrides = overridesOf(config, name).map((one) => placed(one.options))
    const merged = [defaults, options, ...overrides, own].reduce((all, one) => ({ ...all, ...one }))
    return { name, checkpoints, where, options: filledIn(merged, run, table) }
  })
  for (const run of runs) requireOptions(run, table)
  return { out, runs, notes }
}

function ownRuns({ base, runs }: BatchConfig, table: OptionTable): Named[] {
  return runs.map(({ name, checkpoints, options, where }) => {
    const path = inside(base, checkpoints)
    return {
      name: name ?? nameOf(path, ''),
      checkpoints: path,
      where,
      options: {},
      own: placedIn(base, table)(options),
    }
  })
}

async function foundRuns(
  { base, find }: BatchConfig,
  table: OptionTable,
  out: string,
  notes: string[],
): Promise<Named[]> {
  const found: Named[] = []
  for (const { path, name: pattern = '{name}', options } of find) {
    const { runs, single } = await discover(inside(base, path), out)
    if (single.length > 0)
      notes.push(`left out, since one checkpoint is no trajectory: ${listNames(single, 5)}`)
    for (const { name, checkpoints } of runs)
      found.push({
        name: pattern.replaceAll('{name}', name),
        checkpoints,
        where: checkpoints,
        options: placedIn(base, table)(options),
        own: {},
      })
  }
  return found
}

function refuseClashes(runs: readonly Named[]): void {
  const byName = new Map<string, Named>()
  for (const run of runs) {
    const other = byName.get(nameKey(run.name))
    if (other !== undefined)
      throw new UsageError(
        `two runs would be called ${run.name}: ${other.checkpoints} (${other.where}) and ${run.checkpoints} (${run.where}); ` +
          'name them in a batch file, as runs: [{name: ..., checkpoints: ...}] or find: [{path: ..., name: first-{name}}]',
      )
    byName.set(nameKey(run.name), run)
  }
}

function overridesOf({ overrides }: BatchConfig, name: string): Override[] {
  return overrides.filter(({ match }) => match.some((pattern) => namePattern(pattern).test(name)))
}

/** An override that fits no run is a slip: its options would silently not be used. */
function refuseUseless({ overrides }: BatchConfig, runs: readonly Named[]): void {
  for (const { match, where } of overrides)
    for (const pattern of match)
      if (!runs.some(({ name }) => namePattern(pattern).test(name)))
        throw new UsageError(
          `${where}: no run is called ${pattern}; runs are ${listNames(runs.map(({ name }) => name))}`,
        )
}

function requireOptions({ name, where, options }: PlannedRun, table: OptionTable): void {
  for (const [option, { demandOption }] of Object.entries(table))
    if (demandOption === true && options[option] === undefined)
      throw new UsageError(
        `run ${name} (${where}): ${option} is missing: give --${option}, or put it under defaults in the batch file`,
      )
}

/** Options with paths relative to the working folder; paths that begin with a placeholder are complete. */
function placedIn(base: string, table: OptionTable): (options: OptionValues) => OptionValues {
  return (options) =>
    mapOptions(options, table, (path) => (path.startsWith('{run}') ? path : inside(base, path)))
}

function filledIn(options: OptionValues, { name, checkpoints }: Named, table: OptionTable): OptionValues {
  const folder = runFolder(checkpoints)
  return mapOptions(options, table, (path) => path.replaceAll('{run}', folder).replaceAll('{name}', name))
}

function mapOptions(
  options: OptionValues,
  table: OptionTable,
  change: (path: string) => string,
): OptionValues {
  return Object.fromEntries(
    Object.entries(options).map(([name, value]): [string, OptionValue] => [
      name,
      mapPath(table[name]!, value, change),
    ]),
  )
}

function inside(base: string, path: string): string {
  return base === '' || isAbsolute(path) ? path : join(base, path)
}
