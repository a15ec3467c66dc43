import { addTo } from '../tensor.js'
import type { FloatArray } from '../tensor.js'
import type { Engine, MicroBatch, MicroBatchResult, Parameters, SplitData } from './engine.js'
import { DeviceError, EngineError } from '../errors.js'
import { PROFILED_RUNS } from './measured-session.js'

/** Opens one of two engines for the same gradient. */
export type OpenEngine = () => Promise<Engine>

/** Micro-batches that are run one by one for the measurement, after those that warm the device up. */
const TIMED = 4
/** Runs that warm a session up: while it is profiled, its times say little. */
const WARMING = PROFILED_RUNS

/**
 * An engine that runs micro-batches one by one or looped over inside the graph, whichever is quicker on the device: that is
 * timed both ways by `settle`, before anything is computed. Both give the same sums but for rounding. One of the two is open
 * at a time, since each holds memory of the device.
 */
export class QuickerEngine implements Engine {
  readonly description: string
  readonly precision: Engine['precision']
  readonly fixedBatch: boolean
  loops: boolean | undefined

  private constructor(
    private engine: Engine,
    private readonly open: { readonly each: OpenEngine; readonly looped: OpenEngine },
    private readonly now: () => number,
  ) {
    this.description = engine.description
    this.precision = engine.precision
    this.fixedBatch = engine.fixedBatch
  }

  /** @param now tells milliseconds */
  static async of(each: OpenEngine, looped: OpenEngine, now = () => performance.now()): Promise<Engine> {
    return new QuickerEngine(await each(), { each, looped }, now)
  }

  get placement(): Engine['placement'] {
    return this.engine.placement
  }

  get sum(): Engine['sum'] {
    return this.loops === true ? (...args) => this.engine.sum!(...args) : undefined
  }

  run(parameters: Parameters, split: SplitData, batch: MicroBatch): Promise<MicroBatchResult> {
    return this.engine.run(parameters, split, batch)
  }

  close(): Promise<void> {
    return this.engine.close()
  }

  /** Leaves the quicker engine open. */
  async settle(parameters: Parameters, split: SplitData, batches: readonly MicroBatch[]): Promise<void> {
    if (this.loops !== undefined) return
    const few = batches.slice(0, TIMED)
    const [first] = batches as [MicroBatch, ...MicroBatch[]]
    for (let run = 0; run < WARMING; run += 1) await this.engine.run(parameters, split, first)
    const each = (await this.time(() => sumOneByOne(this.engine, parameters, split, few))) / few.length
    await this.engine.close()
    const looped = await this.timeLoop(parameters, split, batches)
    this.loops = looped !== undefined && looped.ms / batches.length < each
    if (!this.loops) await looped?.engine.close()
    this.engine = this.loops ? looped!.engine : await this.open.each()
  }

  /**
   * Undefined where the device can't loop: a provider may lack something that only the loop needs, and what the loop holds of
   * the data may be more than there is memory for, which was enough for the micro-batches one by one.
   */
  private async timeLoop(
    parameters: Parameters,
    split: SplitData,
    batches: readonly MicroBatch[],
  ): Promise<{ readonly engine: Engine; readonly ms: number } | undefined> {
    let engine: Engine | undefined
    try {
      const opened = await this.open.looped()
      engine = opened
      const sum = () => opened.sum!(parameters, split, batches)
      for (let run = 0; run < WARMING; run += 1) await sum()
      return { engine: opened, ms: await this.time(sum) }
    } catch (error) {
      await engine?.close()
      if (error instanceof EngineError || error instanceof DeviceError) return undefined
      throw error
    }
  }

  private async time(work: () => Promise<unknown>): Promise<number> {
    const start = this.now()
    await work()
    return this.now() - start
  }
}

/** What Engine.sum gives, from a run for each micro-batch. */
export async function sumOneByOne(
  engine: Engine,
  parameters: Parameters,
  split: SplitData,
  batches: readonly MicroBatch[],
): Promise<MicroBatchResult> {
  const sums = new Map<string, Float64Array>()
  let [numerator, denominator] = [0, 0]
  for (const batch of batches) {
    const result = await engine.run(parameters, split, batch)
    numerator += result.numerator
    denominator += result.denominator
    for (const name of parameters.keys()) add(sums, name, result.gradient(name))
  }
  return { numerator, denominator, gradient: (name) => sums.get(name) }
}

function add(sums: Map<string, Float64Array>, name: string, values: FloatArray | undefined): void {
  if (values === undefined) return
  const sum = sums.get(name)
  if (sum === undefined) sums.set(name, Float64Array.from(values))
  else addTo(sum, values)
}
