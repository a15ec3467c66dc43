import { stat } from 'node:fs/promises'
import * as z from 'zod'

import { CheckpointError } from '../../errors.js'
import { readJsonFile } from '../../io/json.js'
import { countersOf, type Counters } from './format.js'

/** The Hugging Face Trainer's record of its progress, beside the weights of each save. */
export const TRAINER_STATE = 'trainer_state.json'

/** More than any index or log of a run takes. */
const MAX_JSON_BYTES = 256 * 2 ** 20

const trainerStateSchema = z.object({ global_step: z.unknown().optional() })

/**
 * The step in a `trainer_state.json`, undefined where there is no such file.
 * @throws CheckpointError when it is corrupt
 */
export async function readTrainerState(path: string): Promise<Counters | undefined> {
  const stats = await stat(path).catch(() => undefined)
  if (stats?.isFile() !== true) return undefined
  const state = trainerStateSchema.safeParse(await readJson(path))
  if (!state.success) throw new CheckpointError(`${path}: corrupt: no JSON object`)
  // its epoch is a fraction of the way through the data; the step says more
  return countersOf((name) => (name === 'global_step' ? state.data.global_step : undefined))
}

/** A JSON file as Python writes it. Throws CheckpointError when it is none. */
export async function readJson(path: string): Promise<unknown> {
  return (await readJsonFile(path, MAX_JSON_BYTES, CheckpointError, withoutNaN)).json
}

/** Python writes NaN and Infinity into JSON (a logged gradient norm that overflowed); they count as null. */
function withoutNaN(text: string): string {
  return text.replace(/"(?:[^"\\]|\\.)*"|-?\b(?:NaN|Infinity)\b/g, (token) =>
    token.startsWith('"') ? token : 'null',
  )
}
