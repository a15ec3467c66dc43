import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { Computation } from './computation.js'
import type { RunEvents, RunOptions } from './options.js'
import { prepare } from './prepare.js'
import type { Prepared } from './prepare.js'
import { recompute } from './recompute.js'
import type { RecomputeOptions } from './recompute.js'
import { ReplayStore } from './store/store.js'
import { startWorkers } from './workers/start.js'
import type { StartedWorkers } from './workers/start.js'

/** Which intervals are computed anew. */
export interface Recomputing extends Omit<RecomputeOptions, 'batchSize' | 'mayHalve' | 'window' | 'signal'> {
  /** Called with what was opened before anything is computed; an error ends it. */
  readonly check: (prepared: Prepared) => Promise<void>
}

/**
 * Computes chosen intervals of a run anew, with `options` as `runReplay` takes them (its `out`, `quadrature`, `intervals`
 * and Fisher samples are not used), in a folder of its own, and hands their rows to `request.onInterval`.
 *
 * @param folder for arrays as large as the parameters; what is left there is the caller's to remove
 * @returns whether all was computed; false when the signal ended it
 * @throws every error class of retrograd, each naming file and remedy
 */
export async function recomputeIntervals(
  options: RunOptions,
  request: Recomputing,
  events: RunEvents,
  folder: string,
): Promise<boolean> {
  const workers = startWorkers(options)
  try {
    const prepared = await prepare(options, events)
    await request.check(prepared)
    return await chosen(new Computation(options, events, prepared), request, {
      folder,
      workers,
      signal: events.signal,
    })
  } finally {
    workers.stop()
  }
}

/** Computes chosen intervals anew; returns false when the signal ended it. */
async function chosen(
  computation: Computation,
  request: Recomputing,
  {
    folder,
    workers,
    signal,
  }: { readonly folder: string; readonly workers: StartedWorkers; readonly signal: AbortSignal | undefined },
): Promise<boolean> {
  if (signal?.aborted === true) return false
  const store = new ReplayStore(join(folder, 'replay'))
  store.make()
  const shared = join(folder, 'shared')
  mkdirSync(shared)
  const arrays = computation.arrays(store)
  const pool = computation.pool(arrays, shared, workers)
  const { batchSize, mayHalve, window } = computation.replayOptions()
  try {
    const how = { ...request, batchSize, mayHalve, window, ...(signal && { signal }) }
    const work = recompute(computation.input(arrays, pool), how)
    return await untilAborted(work, signal)
  } finally {
    await pool.close()
  }
}

/** Returns false when the signal came first; what the work does after that is nobody's concern. */
async function untilAborted(work: Promise<void>, signal: AbortSignal | undefined): Promise<boolean> {
  work.catch(() => undefined)
  let abort: () => void = () => undefined
  const aborted = new Promise<false>((resolve) => {
    abort = () => {
      resolve(false)
    }
    if (signal?.aborted === true) abort()
    else signal?.addEventListener('abort', abort)
  })
  try {
    return await Promise.race([work.then(() => true), aborted])
  } finally {
    signal?.removeEventListener('abort', abort)
  }
}
