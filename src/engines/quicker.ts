import { addTo } from '../tensor.js'
import type { FloatArray } from '../tensor.js'
import type { Engine, MicroBatch, MicroBatchResult, Parameters, SplitData } from './engine.js'
import { DeviceError, EngineError } from '../errors.js'
import { saysOutOfMemory } from './out-of-memory.js'

/** Opens one of two engines for the same gradient. */
export type OpenEngine = () => Promise<Engine>

/** Micro-batches that are run one by one for the measurement, after one that warms the device up. */
const TIMED = 4

/**
 * An engine that runs micro-batches one by one or looped over inside the graph, whichever is quicker on the device: the
 * first sum that is asked for is timed both ways. Both give the same sums. One of the two is open at a time, since each holds
 * memory of the device.
 */
export class QuickerEngine implements Engine {
  readonly description: string
  readonly precision: Engine['precision']
  readonly fixedBatch: boolean
  /** Whether the loop is the quicker one; undefined until it was measured. */
  private loops: boolean | undefined

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
    return this.loops === false ? undefined : (...args) => this.sumOf(...args)
  }

  run(parameters: Parameters, split: SplitData, batch: MicroBatch): Promise<MicroBatchResult> {
    return this.engine.run(parameters, split, batch)
  }

  close(): Promise<void> {
    return this.engine.close()
  }

  private async sumOf(
    parameters: Parameters,
    split: SplitData,
    batches: readonly MicroBatch[],
  ): Promise<MicroBatchResult> {
    this.loops ??= await this.measure(parameters, split, batches)
    return this.loops
      ? await this.engine.sum!(parameters, split, batches)
      : await sumOneByOne(this.engine, parameters, split, batches)
  }

  /** Leaves the quicker engine open. */
  private async measure(
    parameters: Parameters,
    split: SplitData,
    batches: readonly MicroBatch[],
  ): Promise<boolean> {
    const few = batches.slice(0, TIMED)
    await sumOneByOne(this.engine, parameters, split, batches.slice(0, 1))
    const each = await this.time(() => sumOneByOne(this.engine, parameters, split, few))
    await this.engine.close()
    let engine: Engine | undefined
    try {
      engine = await this.open.looped()
      const sum = () => engine!.sum!(parameters, split, batches)
      await sum()
      if ((await this.time(sum)) / batches.length < each / few.length) {
        this.engine = engine
        return true
      }
    } catch (error) {
      // a provider may lack something that only the loop needs; want of memory has its own remedy
      const lacking = error instanceof EngineError || error instanceof DeviceError
      if (!lacking || saysOutOfMemory(error.message)) throw error
    }
    await engine?.close()
    this.engine = await this.open.each()
    return false
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
