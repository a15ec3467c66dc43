import { resolve } from 'node:path'
import { createOnnxRuntimeEngine } from '../engines/onnxruntime.js'
import { UsageError } from '../errors.js'
import type { Manifest } from '../tables/manifest.js'
import { assertFree, ResultsWriter } from '../tables/writer.js'
import { manifestFacts, runFacts } from './manifest.js'
import type { RunEvents, RunOptions } from './options.js'
import { prepare } from './prepare.js'
import type { Prepared } from './prepare.js'
import { replay } from './replay.js'
import type { ReplayInput, ReplayOutcome } from './replay.js'

export interface RunResult {
  readonly manifest: Manifest
  readonly outcome: ReplayOutcome
}

/**
 * Replays a recorded run and writes its results folder: checkpoints, network and data by path in, tables out. Nothing
 * appears in the folder before the whole replay is done (or was interrupted after some intervals); on an error the
 * folder is as it was before.
 *
 * @returns undefined when the replay was interrupted before its first interval was finished
 * @throws every error class of retrograd, each naming file and remedy
 */
export async function runReplay(options: RunOptions, events: RunEvents): Promise<RunResult | undefined> {
  const started = new Date()
  if (resolve(options.out) === resolve(options.checkpoints))
    throw new UsageError(`--out ${options.out}: that is the folder of the checkpoints; name another`)
  assertFree(options.out, options.overwrite)
  const prepared = await prepare(options, events)
  return replayInto(options, events, prepared, started)
}

async function replayInto(
  options: RunOptions,
  events: RunEvents,
  prepared: Prepared,
  started: Date,
): Promise<RunResult | undefined> {
  const facts = await runFacts(options, prepared)
  const { granularity, overwrite } = options
  const writer = await ResultsWriter.create(options.out, { granularity, overwrite, facts })
  try {
    const engine = await createOnnxRuntimeEngine(prepared.gradient)
    const { trajectory, tensors, batchSize, data: splits } = prepared
    try {
      const { perSample, coupledBy } = prepared.gradient
      const lossOf = perSample && coupledBy === undefined ? 'sample' : 'micro-batch'
      const input: ReplayInput = { trajectory, tensors, engine, splits, lossOf }
      const outcome = await replay(input, { ...options, ...events, batchSize }, writer)
      if (outcome.intervals === 0) {
        await writer.discard()
        return undefined
      }
      const manifest = await writer.commit(await manifestFacts(facts, prepared, outcome, started))
      return { manifest, outcome }
    } finally {
      await engine.close()
    }
  } catch (error) {
    await writer.discard()
    throw error
  }
}
