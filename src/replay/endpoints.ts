import { CheckpointError } from '../errors.js'
import type { Cut } from '../engines/micro-batches.js'
import { meanLoss } from './loss.js'
import type { EndpointRecord } from './records.js'
import { fileNames } from './store/store.js'
import type { ReplaySplit } from './split.js'
import type { WeightFiles } from './weight-files.js'
import type { Evaluator } from './workers/evaluator.js'
import type { Movement } from './workers/messages.js'

export type Endpoint = Omit<EndpointRecord, 'kind'>

export interface EndpointsContext {
  readonly evaluator: Pick<Evaluator, 'evaluate'>
  readonly weights: WeightFiles
  readonly splits: readonly ReplaySplit[]
  readonly cut: Cut
  /** Index of the last checkpoint. */
  readonly last: number
  readonly onSamples: (checkpoint: number, split: number, samples: number) => void
  readonly onEndpoint: (endpoint: Endpoint) => void
  /** How errors name the place: 'at step 4'. */
  readonly where: (checkpoint: number) => string
}

/** Losses and gradients at checkpoints, each computed once and shared by the intervals on both sides. */
export class Endpoints {
  private readonly known = new Map<number, Promise<Endpoint>>()

  constructor(private readonly context: EndpointsContext) {}

  /** Endpoints whose gradients are in their files already. */
  take(endpoints: Iterable<Endpoint>): void {
    for (const endpoint of endpoints) this.known.set(endpoint.checkpoint, Promise.resolve(endpoint))
  }

  /** @throws CheckpointError where the checkpoint can't be read or the loss is not finite there */
  get(checkpoint: number): Promise<Endpoint> {
    const known = this.known.get(checkpoint)
    if (known !== undefined) return known
    const endpoint = this.evaluate(checkpoint)
    this.known.set(checkpoint, endpoint)
    return endpoint
  }

  release(checkpoint: number): void {
    this.known.delete(checkpoint)
  }

  private async evaluate(checkpoint: number): Promise<Endpoint> {
    const { evaluator, weights, splits, cut, onSamples } = this.context
    const sampled = splits.some(({ population }) => population !== undefined)
    const fingerprint = await weights.ensure(checkpoint)
    const movements = sampled ? this.movements(checkpoint) : []
    for (const [from, to] of movements) await Promise.all([weights.ensure(from), weights.ensure(to)])
    const groups = await Promise.all(
      splits.map(({ population }, split) => {
        const out = fileNames.gradient(checkpoint, split)
        const task = {
          split,
          from: checkpoint,
          to: checkpoint,
          a: 0,
          cut,
          out,
          movements: population === undefined ? [] : movements,
        }
        return evaluator.evaluate(task, checkpoint, (samples) => {
          onSamples(checkpoint, split, samples)
        })
      }),
    )
    const losses = groups.map((sums, split) => this.finiteLoss(meanLoss(sums), checkpoint, split))
    const endpoint = { checkpoint, fingerprint, losses, ...(sampled && { groups }) }
    this.context.onEndpoint(endpoint)
    return endpoint
  }

  /** The movements of the interval before the checkpoint and of the one after it. */
  private movements(checkpoint: number): Movement[] {
    const { last } = this.context
    const before: Movement[] = checkpoint > 0 ? [[checkpoint - 1, checkpoint]] : []
    return checkpoint < last ? [...before, [checkpoint, checkpoint + 1]] : before
  }

  private finiteLoss(loss: number, checkpoint: number, split: number): number {
    if (Number.isFinite(loss)) return loss
    throw overflow(this.context.where(checkpoint), this.context.splits[split]!.name, loss)
  }
}

export function overflow(where: string, split: string, loss: number): CheckpointError {
  return new CheckpointError(
    `${where}: the loss on ${split} is ${loss}; the weights are finite, so the network overflows there. ` +
      `Replay the part before it with --steps`,
  )
}
