import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod'
import { reasonOf, ResultsError } from '../errors.js'
import { ROLES, SCHEMA_VERSION, TABLE_NAMES } from './schema.js'

export const MANIFEST_FILE = 'manifest.json'

const count = z.int().nonnegative()

const tableEntry = z.looseObject({
  name: z.enum(TABLE_NAMES),
  rows: count,
  /** Number of files. */
  parts: count,
  /** Size of all files. */
  bytes: count,
})

const tensorEntry = z.looseObject({
  /** Name in the tables. */
  tensor: z.string(),
  checkpoint_name: z.string(),
  parameter_name: z.string(),
  /** In the checkpoint's layout. */
  shape: z.array(count),
  role: z.enum(ROLES),
  layer: z.string(),
  /** Axis of `shape` whose index is the unit; null for a scalar. */
  unit_axis: count.nullable(),
  parameters: count,
})

/** manifest.json: everything that a result depends on. Objects may hold more keys than these. */
export const manifestSchema = z.looseObject({
  schema: z.literal(SCHEMA_VERSION),
  /** Whether all intervals of the run are there, or those of `--intervals`. */
  status: z.enum(['complete', 'part']),
  /** Hash of all that the results depend on; equal for runs that give the same. */
  identity: z.string().optional(),
  /** Intervals of the run that are here, half-open, and how many the run has. */
  intervals: z.looseObject({ from: count, to: count, of: count }).optional(),
  /** When the run started and ended, ISO 8601. */
  created: z.iso.datetime({ offset: true }),
  finished: z.iso.datetime({ offset: true }),
  retrograd: z.looseObject({
    version: z.string(),
    node: z.string(),
    platform: z.string(),
    /** The engine's version: one of these. */
    onnxruntime: z.string().optional(),
    tfjs: z.string().optional(),
  }),
  options: z.record(z.string(), z.unknown()),
  model: z.looseObject({
    path: z.string(),
    sha256: z.string(),
    /** The statistics that its BatchNormalization used: the checkpoints' running ones, or each micro-batch's own. */
    batchnorm: z.enum(['running', 'batch']).nullable().optional(),
  }),
  data: z.array(z.looseObject({ split: z.string(), path: z.string(), samples: count, sha256: z.string() })),
  checkpoints: z.array(z.looseObject({ path: z.string(), step: z.int(), fingerprint: z.string() })),
  tensors: z.array(tensorEntry),
  /** `converged` counts intervals. */
  result: z.looseObject({ intervals: count, converged: count }),
  tables: z.array(tableEntry),
})

export type Manifest = z.infer<typeof manifestSchema>
export type TableEntry = z.infer<typeof tableEntry>
/** A manifest before its tables are written: the writer counts them itself. */
export type ManifestFacts = Omit<Manifest, 'tables'>

/** Reads and checks manifest.json of a results folder. Throws ResultsError when it is missing, corrupt or of another schema. */
export async function readManifest(dir: string): Promise<Manifest> {
  const path = join(dir, MANIFEST_FILE)
  const value = parseJson(path, await readText(path, dir))
  const version = z.looseObject({ schema: z.int() }).safeParse(value)
  if (version.success && version.data.schema !== SCHEMA_VERSION) {
    throw new ResultsError(
      `${path} has schema ${version.data.schema}, but this version reads schema ${SCHEMA_VERSION}; run again, or use the version of retrograd that wrote it`,
    )
  }
  const manifest = manifestSchema.safeParse(value)
  if (manifest.success) return manifest.data
  throw new ResultsError(`${path} is not a manifest: ${firstIssue(manifest.error)}`)
}

async function readText(path: string, dir: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw new ResultsError(
      `${dir} holds no finished results (no ${MANIFEST_FILE}); name the folder that was given as --out`,
      { cause: error },
    )
  }
}

function parseJson(path: string, text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new ResultsError(`${path} is not valid JSON: ${reasonOf(error)}`)
  }
}

function firstIssue(error: z.ZodError): string {
  const issue = error.issues[0]
  return issue === undefined ? 'unknown problem' : `${issue.path.join('.')}: ${issue.message}`
}
