import { Tensor } from './runtime.js'
import type { InferenceSession } from './runtime.js'
import { EngineError, reasonOf, RetrogradError } from '../errors.js'
import { elementCount } from '../tensor.js'
import type { DType, FloatArray, TypedArray } from '../tensor.js'
import { needsSizes } from './devices/forms.js'
import type { Device } from './devices/names.js'
import type { Placement } from './devices/placement.js'
import type { Engine, MicroBatch, MicroBatchResult, Parameters, SampleArray, SplitData } from './engine.js'
import { MeasuredSession } from './measured-session.js'
import { rows, weights } from './micro-batches.js'
import type { GradientProgram } from './program.js'
import type { Placing, SessionSettings } from './session-options.js'
import type { Session } from './sized-sessions.js'
import { ONNXRUNTIME_VERSION } from './version.js'

export interface OnnxRuntimeOptions extends SessionSettings {
  /** Where the session computes; the CPU by default. */
  readonly placing?: Placing
}

const ON_CPU: Placing = { device: 'cpu', strict: false }

/**
 * ONNX Runtime as an engine. Parameters and a micro-batch go in, per-sample losses and the gradient
 * come out; memory is that of the graph's values for one micro-batch and one copy of the gradient.
 *
 * Where the device needs sizes, sessions are made by the runs that need them, and so are errors of making them.
 *
 * @param model the gradient graph: its ONNX file, or that file's bytes
 * @throws EngineError when the runtime can't build a session from the graph
 */
export async function openOnnxRuntimeEngine(
  model: string | Uint8Array,
  program: GradientProgram,
  { placing = ON_CPU, ...settings }: OnnxRuntimeOptions = {},
): Promise<Engine> {
  const open = (from: string | Uint8Array): Promise<MeasuredSession> => openSession(from, placing, settings)
  const session = needsSizes(placing.device) ? await sizedSessions(model, program, open) : await open(model)
  return new OnnxRuntimeEngine(session, program, placing.device)
}

/** @throws EngineError when the runtime can't build a session from the graph */
async function openSession(
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

/** What reads and rewrites graphs is loaded where it is needed: most workers begin without. */
async function sizedSessions(
  model: string | Uint8Array,
  program: GradientProgram,
  open: (from: string | Uint8Array) => Promise<MeasuredSession>,
): Promise<Session> {
  const [{ SizedSessions }, { decodeModel, readModel }] = await Promise.all([
    import('./sized-sessions.js'),
    import('../onnx/read.js'),
  ])
  const graph = typeof model === 'string' ? await readModel(model) : decodeModel(model, 'the gradient graph')
  return new SizedSessions(graph, dataInputs(program), open)
}

/** The inputs of the gradient graph that are no parameters. */
function dataInputs({ inputs, target, weight }: GradientProgram): string[] {
  return [...inputs, target, weight].filter((name) => name !== undefined)
}

class OnnxRuntimeEngine implements Engine {
  readonly description: string
  readonly precision: 'float32' | 'float64'
  readonly fixedBatch: boolean
  /** The gradient of one micro-batch by output, written in place by every run. */
  private readonly outputs: ReadonlyMap<string, Tensor>

  constructor(
    private readonly session: Session,
    private readonly program: GradientProgram,
    device: Device,
  ) {
    this.description = `onnxruntime ${ONNXRUNTIME_VERSION}, ${device}`
    this.precision = program.precision
    this.fixedBatch = program.fixedBatch
    this.outputs = new Map(
      Object.entries(program.gradients).map(([parameter, output]) => [output, this.outputFor(parameter)]),
    )
  }

  get placement(): Placement | undefined {
    return this.session.placement
  }

  async run(parameters: Parameters, split: SplitData, batch: MicroBatch): Promise<MicroBatchResult> {
    const { numerators, denominators, gradients } = this.program
    const fetches: Record<string, Tensor | null> = { [numerators]: null, [denominators]: null }
    for (const [output, tensor] of this.outputs) fetches[output] = tensor
    const feeds = { ...this.pointFeeds(parameters), ...this.batchFeeds(split, batch) }
    const results = await this.session.run(feeds, fetches).catch((error: unknown) => {
      if (error instanceof RetrogradError) throw error
      throw new EngineError(
        `ONNX Runtime ${ONNXRUNTIME_VERSION} failed to run the gradient graph: ${reasonOf(error)}`,
      )
    })
    return {
      numerator: this.total(results, numerators, batch),
      denominator: this.total(results, denominators, batch),
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
    const feeds: Record<string, Tensor> = {}
    for (const [name, shape] of Object.entries(this.program.parameters)) {
      const values = parameters.get(name)
      if (values === undefined) throw new EngineError(`no values were given for the parameter '${name}'`)
      feeds[name] = tensorOf(this.precision, asType(this.precision, values), shape)
    }
    return feeds
  }

  private batchFeeds(split: SplitData, batch: MicroBatch): Record<string, Tensor> {
    const { inputs, target, weight } = this.program
    const feeds: Record<string, Tensor> = {}
    const feed = (name: string, array: SampleArray | undefined): void => {
      if (array === undefined) throw new EngineError(`no data was given for the network's input '${name}'`)
      feeds[name] = tensorOf(array.dtype, rows(array, batch), [batch.size, ...array.sampleShape])
    }
    for (const input of inputs) feed(input, split.inputs.get(input))
    if (target !== undefined) feed(target, split.target)
    if (weight !== undefined)
      feeds[weight] = tensorOf(this.precision, weights(batch, this.precision === 'float64'), [batch.size])
    return feeds
  }

  /** The sum of the per-sample values, in float64. */
  private total(results: InferenceSession.OnnxValueMapType, name: string, batch: MicroBatch): number {
    const values = results[name]!.data as FloatArray
    if (this.program.perSample && values.length !== batch.size)
      throw new EngineError(
        `'${name}' has ${values.length} elements for ${batch.size} samples: it has no batch axis`,
      )
    let sum = 0
    for (const value of values) sum += value
    return sum
  }

  private outputFor(parameter: string): Tensor {
    const shape = this.program.parameters[parameter]!
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
