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
  weightsManifest: z
    .array(z.object({ paths: z.array(z.string()).min(1), weights: z.array(weightSchema) }))
    .min(1),
})

/** A weight as a manifest describes it (tfjs-core, `WeightsManifestEntry`). */
export type ManifestWeight = z.infer<typeof weightSchema>
export type ManifestGroup = z.infer<typeof manifestSchema>['weightsManifest'][number]

/**
 * The groups of weights that a `model.json` names: each in one or more files, one weight after the other.
 * @throws CheckpointError when it is no JSON, or names no weights
 */
export async function readManifest(
  path: string,
): Promise<{ groups: readonly ManifestGroup[]; bytes: number }> {
  const { json, bytes } = await readJsonFile(path, MAX_JSON_BYTES, CheckpointError)
  const parsed = manifestSchema.safeParse(json)
  if (parsed.success) return { groups: parsed.data.weightsManifest, bytes }
  const issue = parsed.error.issues[0]
  throw new CheckpointError(
    `${path}: corrupt: no weightsManifest of TensorFlow.js: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not valid'}`,
  )
}
