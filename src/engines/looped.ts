import { GROUP } from '../autodiff/looped.js'
import { EngineError } from '../errors.js'
import type { FloatArray } from '../tensor.js'
import type { Engine, MicroBatch, MicroBatchResult, Parameters, SplitData } from './engine.js'
import { GradientSession, openSession } from './gradient-session.js'
import type { MeasuredSession } from './measured-session.js'
import type { OnnxRuntimeOptions } from './onnxruntime.js'
import type { GradientProgram } from './program.js'
import { ONNXRUNTIME_VERSION } from './version.js'

/** The element type that gradients are added up in. */
const SUM = 'float64'

/**
 * ONNX Runtime on a graph that loops over micro-batches itself (autodiff/looped.ts): parameters go to the device once for
 * all of them, and the sum of their gradients comes back once.
 *
 * @param model the looped graph: its ONNX file, or that file's bytes
 * @param program of the gradient graph that it was made from
 * @throws EngineError when the runtime can't build a session from the graph
 */
export async function openLoopedEngine(
  model: string | Uint8Array,
  program: GradientProgram,
  { placing = { device: 'cpu', strict: false }, ...settings }: OnnxRuntimeOptions = {},
): Promise<LoopedEngine> {
  const session = await openSession(model, placing, settings)
  return new LoopedEngine(session, program, `onnxruntime ${ONNXRUNTIME_VERSION}, ${placing.device}`)
}

/** An engine that adds micro-batches up by itself. */
export class LoopedEngine implements Engine {
  readonly precision: 'float32' | 'float64'
  readonly fixedBatch: boolean
  private readonly session: GradientSession

  constructor(
    session: MeasuredSession,
    private readonly program: GradientProgram,
    readonly description: string,
  ) {
    this.precision = program.precision
    this.fixedBatch = program.fixedBatch
    this.session = new GradientSession(session, program, SUM)
  }

  get placement(): Engine['placement'] {
    return this.session.placement
  }

  run(parameters: Parameters, split: SplitData, batch: MicroBatch): Promise<MicroBatchResult> {
    return this.sum(parameters, split, [batch])
  }

  async sum(
    parameters: Parameters,
    split: SplitData,
    batches: readonly MicroBatch[],
  ): Promise<MicroBatchResult> {
    const [first] = batches as [MicroBatch, ...MicroBatch[]]
    // the data of all micro-batches, which lie one behind the other
    const batch = batches.length === 1 ? first : wholeOf(batches)
    const samples = { batch, sizes: [batches.length, first.size], prefix: GROUP }
    const { numerators, denominators, gradient } = await this.session.run(parameters, split, samples)
    return {
      numerator: this.total(numerators, batches),
      denominator: this.total(denominators, batches),
      gradient,
    }
  }

  async close(): Promise<void> {
    await this.session.release()
  }

  /** The sum of the per-sample values, micro-batch by micro-batch, in float64. */
  private total(numbers: FloatArray, batches: readonly MicroBatch[]): number {
    const [first] = batches as [MicroBatch, ...MicroBatch[]]
    if (this.program.perSample && numbers.length !== batches.length * first.size)
      throw new EngineError(
        `the loss has ${numbers.length} elements for ${batches.length} micro-batches of ${first.size} samples: it has no batch axis`,
      )
    const each = numbers.length / batches.length
    let total = 0
    for (let batch = 0; batch < batches.length; batch += 1) {
      let sum = 0
      for (let i = batch * each; i < (batch + 1) * each; i += 1) sum += numbers[i]!
      total += sum
    }
    return total
  }
}

/** Full micro-batches of one size as one. */
function wholeOf(batches: readonly MicroBatch[]): MicroBatch {
  const { start, size } = batches[0]!
  const fits = batches.every(
    (batch, i) => batch.size === size && batch.count === size && batch.start === start + i * size,
  )
  if (!fits)
    throw new EngineError('only full micro-batches of one size that lie side by side can be looped over')
  return { start, count: batches.length * size, size: batches.length * size }
}
