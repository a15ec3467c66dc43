import { createHash } from 'node:crypto'

import { CheckpointError } from '../../errors.js'
import type { FloatArray } from '../../tensor.js'
import type { Checkpoint, TensorInfo, Trajectory } from '../checkpoint.js'
import { readableTensors } from '../network.js'
import { measureMotion, type Motion } from './motion.js'
import type { Distances } from './place.js'

/** What reading all numbers of a trajectory finds. */
export interface Values {
  /** By tensor, one entry per checkpoint; undefined where the checkpoint could not be read. */
  readonly motions: ReadonlyMap<string, readonly (Motion | undefined)[]>
  readonly distances: Distances
  /** SHA-256 over the numbers of all tensors, one per checkpoint. */
  readonly identities: readonly string[]
}

export interface ValuesOptions {
  /** Is told of every checkpoint that has been read. */
  readonly onCheckpoint?: (done: number) => void
  /** Is told of a checkpoint that could not be read; the pass goes on with the next. */
  readonly onUnreadable: (error: CheckpointError, path: string) => void
  readonly signal?: AbortSignal
}

type Weights = ReadonlyMap<string, FloatArray>

/** Reads every float tensor of every checkpoint once, in order; three checkpoints are in memory at a time. */
export async function readValues(trajectory: Trajectory, options: ValuesOptions): Promise<Values> {
  const { checkpoints } = trajectory
  const tensors = readableTensors(checkpoints[0]!)
  const motions = new Map(
    tensors.map(({ name }) => [name, new Array<Motion | undefined>(checkpoints.length)]),
  )
  const identities: string[] = []
  const distances = { one: [] as number[], two: [] as number[] }
  let [before, twoBefore]: (Weights | undefined)[] = []
  for (const [i, checkpoint] of checkpoints.entries()) {
    options.signal?.throwIfAborted()
    const weights = await readAll(checkpoint, tensors, options)
    identities.push(identityOf(weights, checkpoint))
    for (const { name } of tensors) {
      const now = weights?.get(name)
      if (now === undefined) continue
      const dtype = checkpoint.tensors.get(name)!.dtype
      motions.get(name)![i] = measureMotion(
        now,
        dtype,
        sameSize(now, before?.get(name)),
        sameSize(now, twoBefore?.get(name)),
      )
    }
    const here = tensors.flatMap(({ name }) => motions.get(name)![i] ?? [])
    distances.one.push(rootOfSquares(here.map(({ update }) => update)))
    distances.two.push(rootOfSquares(here.map(({ update2 }) => update2)))
    ;[before, twoBefore] = [weights, before]
    options.onCheckpoint?.(i + 1)
  }
  return { motions, distances, identities }
}

async function readAll(
  checkpoint: Checkpoint,
  tensors: readonly TensorInfo[],
  { onUnreadable }: ValuesOptions,
): Promise<Weights | undefined> {
  const weights = new Map<string, FloatArray>()
  try {
    for (const { name } of tensors)
      if (checkpoint.tensors.has(name)) weights.set(name, (await checkpoint.read(name)).data)
    return weights
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw error
    onUnreadable(error, checkpoint.path)
    return undefined
  }
}

/** A shape that changed is a fault of its own; its movement is not defined. */
function sameSize(now: FloatArray, earlier: FloatArray | undefined): FloatArray | undefined {
  return earlier?.length === now.length ? earlier : undefined
}

function identityOf(weights: Weights | undefined, { path }: Checkpoint): string {
  const hash = createHash('sha256')
  if (weights === undefined) return `unreadable ${path}`
  for (const [name, { buffer, byteOffset, byteLength }] of weights)
    hash.update(`${name} ${byteLength}:`).update(new Uint8Array(buffer, byteOffset, byteLength))
  return hash.digest('hex')
}

function rootOfSquares(values: readonly number[]): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0))
}
