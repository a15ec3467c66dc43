import { env, InferenceSession, Tensor } from 'onnxruntime-node'
import { EngineError, reasonOf } from '../errors.js'
import { DENOMINATORS, NUMERATORS } from '../autodiff/differentiate.js'
import type { GradientGraph } from '../autodiff/differentiate.js'
import type { NamedValue } from '../onnx/graph.js'
import { staticShape } from '../onnx/shapes/dims.js'
import { encodeModel } from '../onnx/write.js'
import { addTo, elementCount } from '../tensor.js'
import type { DType, FloatArray, TypedArray } from '../tensor.js'
import type { Cut, Engine, Evaluation, Gradients, Parameters, SampleArray, SplitData } from './engine.js'
import { microBatches, rows, weights } from './micro-batches.js'
import type { MicroBatch } from './micro-batches.js'

export const ONNXRUNTIME_VERSION = env.versions.node ?? 'of unknown version'

/** ONNX Runtime logs warnings about graphs to stderr; only errors are shown. */
const LOG_ERRORS_ONLY = 3

export interface OnnxRuntimeOptions {
  /** Threads of one session; by default what ONNX Runtime chooses (the physical cores). */
  readonly threads?: number
}

/**
 * ONNX Runtime's CPU provider as an engine. Parameters and a micro-batch go in, per-sample losses and the gradient
 * come out; memory is that of the graph's values for one micro-batch and one float32 copy of the gradient.
 *
 * @throws EngineError when the runtime can't build a session from the graph
 */
export async function createOnnxRuntimeEngine(
  gradient: GradientGraph,
  options: OnnxRuntimeOptions = {},
): Promise<Engine> {
  const session = await createSession(gradient, options)
  return new OnnxRuntimeEngine(session, gradient)
}

/** How a session is made: ONNX Runtime's defaults, which no other setting was quicker than. */
export function sessionOptions({ threads }: OnnxRuntimeOptions): InferenceSession.SessionOptions {
  return {
    executionProviders: ['cpu'],
    graphOptimizationLevel: 'all',
    logSeverityLevel: LOG_ERRORS_ONLY,
    ...(threads !== undefined && { intraOpNumThreads: threads }),
  }
}

async function createSession(
  gradient: GradientGraph,
  options: OnnxRuntimeOptions,
): Promise<InferenceSession> {
  try {
    return await InferenceSession.create(encodeModel(gradient.graph), sessionOptions(options))
  } catch (error) {
    throw new EngineError(
      `ONNX Runtime ${ONNXRUNTIME_VERSION} can't load the gradient graph: ${reasonOf(error)}`,
    )
  }
}

class OnnxRuntimeEngine implements Engine {
  readonly description = `onnxruntime ${ONNXRUNTIME_VERSION}, cpu`
  private readonly shapes: ReadonlyMap<string, readonly number[]>
  /** The gradient of one micro-batch, written in place by every run. */
  private readonly outputs: ReadonlyMap<string, Tensor>
  readonly precision: 'float32' | 'float64'

  constructor(
    private readonly session: InferenceSession,
    private readonly gradient: GradientGraph,
  ) {
    this.shapes = new Map(gradient.graph.inputs.map(({ name, shape }) => [name, staticShape(shape) ?? []]))
    this.precision = gradient.weight.dtype === 'float64' ? 'float64' : 'float32'
    this.outputs = new Map(
      [...gradient.gradients].map(([parameter, output]) => [output, this.outputFor(parameter)]),
    )
  }

  async evaluate(
    parameters: Parameters,
    split: SplitData,
    cut: Cut,
    gradients: Gradients,
    onProgress?: (samples: number) => void,
  ): Promise<Evaluation> {
    const fixed = typeof this.gradient.batch === 'number'
    for (const sum of gradients.values()) sum.fill(0)
    const point = this.pointFeeds(parameters)
    let [numerator, denominator] = [0, 0]
    for (const batch of microBatches(split.samples, cut, fixed)) {
      const results = await this.run({ ...point, ...this.batchFeeds(split, batch) })
      numerator += this.total(results, NUMERATORS, batch)
      denominator += this.total(results, DENOMINATORS, batch)
      for (const [parameter, output] of this.gradient.gradients)
        addTo(gradients.get(parameter)!, this.outputs.get(output)!.data as FloatArray)
      onProgress?.(batch.start + batch.count)
    }
    for (const sum of gradients.values()) divide(sum, denominator)
    return { loss: numerator / denominator }
  }

  async close(): Promise<void> {
    await this.session.release()
  }

  private async run(feeds: Record<string, Tensor>): Promise<InferenceSession.OnnxValueMapType> {
    const fetches: Record<string, Tensor | null> = { [NUMERATORS]: null, [DENOMINATORS]: null }
    for (const [output, tensor] of this.outputs) fetches[output] = tensor
    try {
      return await this.session.run(feeds, fetches)
    } catch (error) {
      throw new EngineError(
        `ONNX Runtime ${ONNXRUNTIME_VERSION} failed to run the gradient graph: ${reasonOf(error)}`,
      )
    }
  }

  private pointFeeds(parameters: Parameters): Record<string, Tensor> {
    const feeds: Record<string, Tensor> = {}
    for (const [name, values] of parameters) {
      const shape = this.shapes.get(name)
      if (shape !== undefined) feeds[name] = tensorOf(this.precision, asType(this.precision, values), shape)
    }
    return feeds
  }

  private batchFeeds(split: SplitData, batch: MicroBatch): Record<string, Tensor> {
    const { inputs, target, weight } = this.gradient
    const feeds: Record<string, Tensor> = {}
    const feed = ({ name }: NamedValue, array: SampleArray | undefined): void => {
      if (array === undefined) throw new EngineError(`no data was given for the network's input '${name}'`)
      feeds[name] = tensorOf(array.dtype, rows(array, batch), [batch.size, ...array.sampleShape])
    }
    for (const input of inputs) feed(input, split.inputs.get(input.name))
    if (target !== undefined) feed(target.input, split.target)
    if (this.shapes.has(weight.name))
      feeds[weight.name] = tensorOf(this.precision, weights(batch, this.precision === 'float64'), [
        batch.size,
      ])
    return feeds
  }

  /** The sum of the per-sample values, in float64. */
  private total(results: InferenceSession.OnnxValueMapType, name: string, batch: MicroBatch): number {
    const values = results[name]!.data as FloatArray
    if (this.gradient.perSample && values.length !== batch.size)
      throw new EngineError(
        `'${name}' has ${values.length} elements for ${batch.size} samples: it has no batch axis`,
      )
    let sum = 0
    for (const value of values) sum += value
    return sum
  }

  private outputFor(parameter: string): Tensor {
    const shape = this.shapes.get(parameter)!
    const size = elementCount(shape)
    const data = this.precision === 'float64' ? new Float64Array(size) : new Float32Array(size)
    return tensorOf(this.precision, data, shape)
  }
}

function tensorOf(dtype: DType, data: TypedArray, shape: readonly number[]): Tensor {
  return new Tensor(dtype as 'float32', data as Float32Array, shape)
}

function asType(dtype: DType, values: FloatArray): FloatArray {
  if (dtype === 'float64') return values instanceof Float64Array ? values : Float64Array.from(values)
  return values instanceof Float32Array ? values : Float32Array.from(values)
}

function divide(sum: Float64Array, by: number): void {
  for (let i = 0; i < sum.length; i += 1) sum[i]! /= by
}
