import type { Options } from 'yargs'
import type { OptionSpec, OptionTable, OptionValue, OptionValues } from '../batch/options.js'
import type { PlannedRun } from '../batch/plan.js'
import { RetrogradError, UsageError } from '../errors.js'
import type { RunOptions } from '../replay/options.js'
import { camelCase } from './check-options.js'
import { readRunOptions, RUN_OPTIONS } from './run-options.js'
import type { RunArguments } from './run-options.js'

/** Options of a replay that are said once for a whole batch, or make no sense in one. */
const NOT_PER_RUN: readonly string[] = ['out', 'overwrite', 'json', 'intervals']
/** Options that change how fast results come, and not what they are. */
const INERT: readonly string[] = ['workers', 'device-memory']

const WHOLE = /^(?<path>.+)$/
const NUMBERS_FILE = /^(?![\d\s,.eE+-]+$)(?<path>.+)$/
/** Options that name files: these are relative to the batch file, and may hold placeholders. */
const PATHS: Readonly<Record<string, RegExp>> = {
  model: WHOLE,
  map: WHOLE,
  train: WHOLE,
  val: /^(?:[\w.-]+=)?(?<path>.+)$/,
  loss: /^(?!output:)(?<path>.+\.onnx)$/,
  'class-weights': NUMBERS_FILE,
  'pos-weight': NUMBERS_FILE,
}

const RUN_TABLE: Readonly<Record<string, Options>> = RUN_OPTIONS
const PER_RUN = Object.entries(RUN_TABLE).filter(([name]) => !NOT_PER_RUN.includes(name))

/** The options of `run` as a batch takes them, on the command line and in its file. */
export const BATCH_TABLE: OptionTable = Object.fromEntries(
  PER_RUN.map(([name, option]) => [name, specOf(name, option)]),
)

/** The same for yargs: none is demanded, since files may hold it, and none has a default that would hide a file's. */
export const SHARED_OPTIONS: Readonly<Record<string, Options>> = Object.fromEntries(
  PER_RUN.map(([name, option]) => [name, withoutDefault(option)]),
)

function withoutDefault({ default: value, ...option }: Options): Options {
  const optional = { ...option, demandOption: false }
  return value === undefined || Array.isArray(value)
    ? optional
    : { ...optional, defaultDescription: String(value) }
}

function specOf(name: string, { type, choices, array, describe, demandOption }: Options): OptionSpec {
  const path = PATHS[name]
  return {
    ...(type !== undefined && { type }),
    ...(choices !== undefined && { choices: [choices].flat().map(String) }),
    ...(array !== undefined && { array }),
    ...(describe !== undefined && { describe }),
    ...(demandOption === true && { demandOption }),
    ...(path && { path }),
    ...(INERT.includes(name) && { inert: true }),
  }
}

/** The options of runs that the command line gives. */
export function givenOptions(argv: Readonly<Record<string, unknown>>): OptionValues {
  return Object.fromEntries(
    PER_RUN.map(([name]) => [name, argv[camelCase(name)]]).filter(
      (entry): entry is [string, OptionValue] => entry[1] !== undefined,
    ),
  )
}

/**
 * What a run's options say to replay, as `run` reads them. The error where a file that they name is at fault: that is the
 * run's own failure.
 * @throws UsageError where an option is malformed, naming the run
 */
export async function readOptionsOf(run: PlannedRun, out: string): Promise<RunOptions | RetrogradError> {
  try {
    return await readRunOptions(argumentsOf(run, out))
  } catch (error) {
    if (error instanceof UsageError) throw new UsageError(`run ${run.name} (${run.where}): ${error.message}`)
    if (error instanceof RetrogradError) return error
    throw error
  }
}

/** As yargs would hand them over: yargs and the file's schema check values against one table of options. */
function argumentsOf({ checkpoints, options }: PlannedRun, out: string): RunArguments {
  const values: Record<string, unknown> = { checkpoints, out }
  for (const [name, option] of Object.entries(RUN_TABLE)) {
    const value: unknown = options[name] ?? option.default
    if (value === undefined || name === 'out') continue
    values[camelCase(name)] = option.array === true ? [value].flat() : value
  }
  return values as unknown as RunArguments
}
