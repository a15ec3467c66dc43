import { Tensor } from './runtime.js'
import { GROUP } from '../autodiff/looped.js'
import { EngineError, reasonOf, RetrogradError } from '../errors.js'
import { elementCount } from '../tensor.js'
import type { DType, FloatArray, TypedArray } from '../tensor.js'
import type { Engine, MicroBatch, MicroBatchResult, Parameters, SampleArray, SplitData } from './engine.js'
import { MeasuredSession } from './measured-session.js'
import { rows, weights } from './micro-batches.js'
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
  try {
    const session = await MeasuredSession.open(model, placing, settings)
    return new LoopedEngine(session, program, `onnxruntime ${ONNXRUNTIME_VERSION}, ${placing.device}`)
  } catch (error) {
    throw new EngineError(
      `ONNX Runtime ${ONNXRUNTIME_VERSION} can't load the gradient graph: ${reasonOf(error)}`,
    )
  }
}

/** An engine that adds micro-batches up by itself. */
export class LoopedEngine implements Engine {
  readonly precision: 'float32' | 'float64'
  readonly fixedBatch: boolean
  /** Sums by output, written in place by every run. */
  private readonly outputs: ReadonlyMap<string, Tensor>

  constructor(
    private readonly session: MeasuredSession,
    private readonly program: GradientProgram,
    readonly description: string,
  ) {
    this.precision = program.precision
    this.fixedBatch = program.fixedBatch
    this.outputs = new Map(
      Object.entries(program.gradients).map(([parameter, output]) => {
        const shape = program.parameters[parameter]!
        return [output, new Tensor(SUM, new Float64Array(elementCount(shape)), shape)]
      }),
    )
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
    const { numerators, denominators, gradients } = this.program
    const fetches: Record<string, Tensor | null> = { [numerators]: null, [denominators]: null }
    for (const [output, tensor] of this.outputs) fetches[output] = tensor
    const feeds = { ...this.pointFeeds(parameters), ...this.groupFeeds(split, batches) }
    const results = await this.session.run(feeds, fetches).catch((error: unknown) => {
      if (error instanceof RetrogradError) throw error
      throw new EngineError(
        `ONNX Runtime ${ONNXRUNTIME_VERSION} failed to run the gradient graph: ${reasonOf(error)}`,
      )
    })
    return {
      numerator: this.total(results[numerators]!, batches),
      denominator: this.total(results[denominators]!, batches),
      gradient: (parameter) => {
        const output = gradients[parameter]
        return output === undefined ? undefined : (this.outputs.get(output)!.data as FloatArray)
      },
    }
  }

  async close(): Promise<void> {
    await this.session.release()
  }

  private pointFeeds(parameters: Parameters): Record<string, Tensor> {
    return Object.fromEntries(
      Object.entries(this.program.parameters).map(([name, shape]) => {
        const values = parameters.get(name)
        if (values === undefined) throw new EngineError(`no values were given for the parameter '${name}'`)
        return [name, tensorOf(this.precision, values, shape)]
      }),
    )
  }

  /** The data of all micro-batches, which lie one behind the other. */
  private groupFeeds(split: SplitData, batches: readonly MicroBatch[]): Record<string, Tensor> {
    const { inputs, target, weight } = this.program
    const [first] = batches as [MicroBatch, ...MicroBatch[]]
    const all = batches.length === 1 ? first : wholeOf(batches)
    const sizes = [batches.length, first.size]
    const feeds: Record<string, Tensor> = {}
    const feed = (name: string, array: SampleArray | undefined): void => {
      if (array === undefined) throw new EngineError(`no data was given for the network's input '${name}'`)
      feeds[GROUP + name] = tensorOf(array.dtype, rows(array, all), [...sizes, ...array.sampleShape])
    }
    for (const input of inputs) feed(input, split.inputs.get(input))
    if (target !== undefined) feed(target, split.target)
    if (weight !== undefined)
      feeds[GROUP + weight] = tensorOf(this.precision, weights(all, this.precision === 'float64'), sizes)
    return feeds
  }

  /** The sum of the per-sample values, micro-batch by micro-batch, in float64. */
  private total(values: Tensor, batches: readonly MicroBatch[]): number {
    const numbers = values.data as FloatArray
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

function tensorOf(dtype: DType, data: TypedArray, shape: readonly number[]): Tensor {
  return new Tensor(dtype as 'float32', data as Float32Array, shape)
}
