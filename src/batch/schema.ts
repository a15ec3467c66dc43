import * as z from 'zod'
import type { OptionSpec, OptionTable } from './options.js'

/** Names become folders, and values of the column `run`. */
const NAME = /^[\p{L}\p{N}][\p{L}\p{N}._-]*$/u
const NAME_MESSAGE = 'a name of letters, digits, dots, dashes and underscores is needed, as lr-0.1'

const name = z.string().regex(NAME, NAME_MESSAGE)
const path = z.string().min(1, 'a path is needed')
const pattern = z.string().min(1, 'a name is needed, in which * stands for any letters')

/** The schema of a batch file; the options of a run are those of the table. */
export function batchSchema(table: OptionTable) {
  const options = Object.fromEntries(
    Object.entries(table).map(([key, spec]) => [key, valueSchema(spec).optional()]),
  )
  const run = z.strictObject({
    name: name.optional().describe("The run's name in the results [from the path of its checkpoints]"),
    checkpoints: path.describe('Folder of checkpoints, or one file of many saves'),
    ...options,
  })
  const find = z.strictObject({
    path: path.describe('Folder in which every folder of checkpoints is a run, or a pattern with * and **'),
    name: z
      .string()
      .regex(/\{name\}/, 'a name with {name} in it is needed, as first-{name}')
      .optional()
      .describe("What the runs are called; {name} stands for what they'd be called otherwise"),
    ...options,
  })
  const override = z.strictObject({
    match: orList(pattern).describe('Names of runs; * stands for any letters, ? for one'),
    skip: z.boolean().optional().describe('Leave these runs out'),
    ...options,
  })
  return z.strictObject({
    out: path.optional().describe('Folder of the results of all runs'),
    defaults: z.strictObject(options).optional().describe('Options of every run'),
    find: orList(z.union([path, find]))
      .optional()
      .describe('Where runs are found'),
    runs: z.array(run).min(1, 'a run is needed').optional().describe('Runs by name'),
    overrides: z.array(override).optional().describe('Options of some runs, by name'),
  })
}

export type BatchFile = z.infer<ReturnType<typeof batchSchema>>

/** The schema for editors, as JSON Schema. */
export function batchJsonSchema(table: OptionTable): Record<string, unknown> {
  const title = 'A batch of retrograd: which recorded runs are replayed, and how'
  return { ...z.toJSONSchema(batchSchema(table), { io: 'input' }), title }
}

function valueSchema({ type, choices, array, describe = '' }: OptionSpec): z.ZodType {
  const meant = describe.replaceAll('--', '')
  if (choices !== undefined) return z.enum(choices).describe(meant)
  if (type === 'number') return z.number().describe(meant)
  if (type === 'boolean') return z.boolean().describe(meant)
  // YAML takes 0.5 for a number, where the command line has text
  const text = z.union([z.string().min(1, 'text is needed'), z.number()], 'text is needed').transform(String)
  return (array === true ? orList(text) : text).describe(meant)
}

function orList<T extends z.ZodType>(one: T) {
  return z.union([one, z.array(one).min(1, 'the list is empty')])
}
