import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { evaluate } from '../engines/create.js'
import type { Engine } from '../engines/engine.js'
import { openEngine } from '../engines/open.js'
import type { Prepared } from '../replay/prepare.js'
import type { FloatArray } from '../tensor.js'

/** Timed after one that warms up; the shortest counts, since other work only adds. */
const TIMED = 2

/**
 * Seconds that the loss and gradient of one micro-batch take one worker here, measured on the first split and the weights of the
 * first checkpoint.
 * @param samples of the micro-batch; a network of fixed batch pads them
 * @throws EngineError when the graph can't be run, and CheckpointError when the checkpoint can't be read
 */
export async function measureMicroBatch(
  prepared: Prepared,
  threads: number,
  samples = prepared.batchSize,
): Promise<number> {
  const { network, trajectory, batchSize } = prepared
  const { tensors } = network
  const [data] = prepared.data.values()
  const weights = new Map<string, FloatArray>()
  for (const { name, checkpointName } of tensors)
    weights.set(name, (await trajectory.checkpoints[0]!.read(checkpointName)).data)
  const sums = new Map(tensors.map(({ name, size }) => [name, new Float64Array(size)]))
  const split = { ...data!, samples: Math.min(samples, data!.samples) }
  const engine = await engineOf(prepared, threads)
  let shortest = Infinity
  try {
    for (let i = 0; i <= TIMED; i += 1) {
      const started = performance.now()
      await evaluate(engine, weights, split, { size: batchSize }, sums)
      if (i > 0) shortest = Math.min(shortest, performance.now() - started)
    }
  } finally {
    await engine.close()
  }
  return shortest / 1000
}

async function engineOf({ network }: Prepared, threads: number): Promise<Engine> {
  const folder = mkdtempSync(join(tmpdir(), 'retrograd-'))
  try {
    return await openEngine(network.engineSetup(folder), { threads })
  } finally {
    rmSync(folder, { recursive: true })
  }
}
