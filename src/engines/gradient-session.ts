import { EngineError, reasonOf, RetrogradError } from '../errors.js'
import { elementCount } from '../tensor.js'
import type { DType, FloatArray, TypedArray } from '../tensor.js'
import type { MicroBatch, MicroBatchResult, Parameters, SampleArray, SplitData } from './engine.js'
import { MeasuredSession } from './measured-session.js'
import { rows, weights } from './micro-batches.js'
import type { GradientProgram } from './program.js'
import { Tensor } from './runtime.js'
import type { Placing, SessionSettings } from './session-options.js'
import type { Session } from './sized-sessions.js'
import { ONNXRUNTIME_VERSION } from './version.js'

/** @throws EngineError when the runtime can't build a session from the graph */
export async function openSession(
  model: string | Uint8Array,
  placing: Placing,
  settings: SessionSettings,
): Promise<MeasuredSession> {
  try {
    return await MeasuredSession.open(model, placing, settings)
  } catch (error) {
    throw new EngineError(
      `ONNX Runtime ${ONNXRUNTIME_VERSION} can't load the gradient graph: ${reasonOf(error)}`,
    )
  }
}

/** Samples as a graph's inputs take them. */
export interface FedSamples {
  readonly batch: MicroBatch
  /** Sizes of the axes before those of one sample. */
  readonly sizes: readonly number[]
  /** What stands before the names of the data's inputs. */
  readonly prefix: string
}

/** What a run gives: the per-sample values, and the gradient, which the next run overwrites. */
export interface GradientRun extends Pick<MicroBatchResult, 'gradient'> {
  readonly numerators: FloatArray
  readonly denominators: FloatArray
}

/** A session of a gradient graph, fed and read by the program's names. */
export class GradientSession {
  /** The gradient by output, written in place by every run. */
  private readonly outputs: ReadonlyMap<string, Tensor>

  /** @param sums the element type of the gradients that the graph gives */
  constructor(
    private readonly session: Session,
    private readonly program: GradientProgram,
    sums: 'float32' | 'float64',
  ) {
    this.outputs = new Map(
      Object.entries(program.gradients).map(([parameter, output]) => {
        const shape = program.parameters[parameter]!
        const size = elementCount(shape)
        const data = sums === 'float64' ? new Float64Array(size) : new Float32Array(size)
        return [output, tensorOf(sums, data, shape)]
      }),
    )
  }

  get placement(): Session['placement'] {
    return this.session.placement
  }

  /** @throws EngineError when the graph fails to run, or data or parameters are missing */
  async run(parameters: Parameters, split: SplitData, samples: FedSamples): Promise<GradientRun> {
    const { numerators, denominators, gradients } = this.program
    const fetches: Record<string, Tensor | null> = { [numerators]: null, [denominators]: null }
    for (const [output, tensor] of this.outputs) fetches[output] = tensor
    const feeds = { ...this.pointFeeds(parameters), ...this.dataFeeds(split, samples) }
    const results = await this.session.run(feeds, fetches).catch((error: unknown) => {
      if (error instanceof RetrogradError) throw error
      throw new EngineError(
        `ONNX Runtime ${ONNXRUNTIME_VERSION} failed to run the gradient graph: ${reasonOf(error)}`,
      )
    })
    return {
      numerators: results[numerators]!.data as FloatArray,
      denominators: results[denominators]!.data as FloatArray,
      gradient: (parameter) => {
        const output = gradients[parameter]
        return output === undefined ? undefined : (this.outputs.get(output)!.data as FloatArray)
      },
    }
  }

  release(): Promise<void> {
    return this.session.release()
  }

  private pointFeeds(parameters: Parameters): Record<string, Tensor> {
    const { precision } = this.program
    const feeds: Record<string, Tensor> = {}
    for (const [name, shape] of Object.entries(this.program.parameters)) {
      const values = parameters.get(name)
      if (values === undefined) throw new EngineError(`no values were given for the parameter '${name}'`)
      feeds[name] = tensorOf(precision, asType(precision, values), shape)
    }
    return feeds
  }

  private dataFeeds(split: SplitData, { batch, sizes, prefix }: FedSamples): Record<string, Tensor> {
    const { inputs, target, weight, precision } = this.program
    const feeds: Record<string, Tensor> = {}
    const feed = (name: string, array: SampleArray | undefined): void => {
      if (array === undefined) throw new EngineError(`no data was given for the network's input '${name}'`)
      feeds[prefix + name] = tensorOf(array.dtype, rows(array, batch), [...sizes, ...array.sampleShape])
    }
    for (const input of inputs) feed(input, split.inputs.get(input))
    if (target !== undefined) feed(target, split.target)
    if (weight !== undefined)
      feeds[prefix + weight] = tensorOf(precision, weights(batch, precision === 'float64'), sizes)
    return feeds
  }
}

function tensorOf(dtype: DType, data: TypedArray, shape: readonly number[]): Tensor {
  return new Tensor(dtype as 'float32', data as Float32Array, shape)
}

function asType(dtype: DType, values: FloatArray): FloatArray {
  if (dtype === 'float64') return values instanceof Float64Array ? values : Float64Array.from(values)
  return values instanceof Float32Array ? values : Float32Array.from(values)
}
