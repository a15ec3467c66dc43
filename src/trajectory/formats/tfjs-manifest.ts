import * as z from 'zod'

import { CheckpointError } from '../../errors.js'
import { readJsonFile } from '../../io/json.js'

/** Topologies of large models take a few MB; a graph model's constants are in its shards. */
const MAX_JSON_BYTES = 64 * 2 ** 20

const size = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER)

const quantizationSchema = z.object({
  dtype: z.enum(['uint8', 'uint16', 'float16']),
  min: z.number().optional(),
  scale: z.number().optional(),
})

const weightSchema = z.object({
  name: z.string(),
  shape: z.array(size).max(64),
  dtype: z.string(),
  quantization: quantizationSchema.optional(),
  /** `optimizer` for what `includeOptimizer` adds. */
  group: z.string().optional(),
})

const manifestSchema = z.object({
  format: z.unknown().optional(),
  /** The layers, as Keras writes them; of a graph model its operations. */
  modelTopology: z.unknown().optional(),
  weightsManifest: z
    .array(z.object({ paths: z.array(z.string()).min(1), weights: z.array(weightSchema) }))
    .min(1),
})

/** A weight as a manifest describes it (tfjs-core, `WeightsManifestEntry`). */
export type ManifestWeight = z.infer<typeof weightSchema>
export type ManifestGroup = z.infer<typeof manifestSchema>['weightsManifest'][number]

/** What a model.json says beside its weights' files. */
export interface TfjsModel {
  readonly format: unknown
  readonly topology: unknown
  /** Without the optimizer's. */
  readonly weights: readonly ManifestWeight[]
}

/**
 * The network that a `model.json` describes; its weights' files are not looked at.
 * @throws CheckpointError when it is no JSON, or names no weights
 */
export async function readTfjsModel(path: string): Promise<TfjsModel> {
  const { format, modelTopology, weightsManifest } = (await parse(path)).manifest
  const weights = weightsManifest
    .flatMap((group) => group.weights)
    .filter(({ group }) => group !== 'optimizer')
  return { format, topology: modelTopology, weights }
}

/**
 * The groups of weights that a `model.json` names: each in one or more files, one weight after the other.
 * @throws CheckpointError when it is no JSON, or names no weights
 */
export async function readManifest(
  path: string,
): Promise<{ groups: readonly ManifestGroup[]; bytes: number }> {
  const { manifest, bytes } = await parse(path)
  return { groups: manifest.weightsManifest, bytes }
}

async function parse(path: string): Promise<{ manifest: z.infer<typeof manifestSchema>; bytes: number }> {
  const { json, bytes } = await readJsonFile(path, MAX_JSON_BYTES, CheckpointError)
  const parsed = manifestSchema.safeParse(json)
  if (parsed.success) return { manifest: parsed.data, bytes }
  const issue = parsed.error.issues[0]
  throw new CheckpointError(
    `${path}: corrupt: no weightsManifest of TensorFlow.js: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not valid'}`,
  )
}
