import { EngineError } from '../errors.js'
import type { FloatArray } from '../tensor.js'
import { needsSizes } from './devices/forms.js'
import type { Device } from './devices/names.js'
import type { Engine, MicroBatch, MicroBatchResult, Parameters, SplitData } from './engine.js'
import { GradientSession, openSession } from './gradient-session.js'
import type { MeasuredSession } from './measured-session.js'
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
  private readonly session: GradientSession

  constructor(
    session: Session,
    private readonly program: GradientProgram,
    device: Device,
  ) {
    this.description = `onnxruntime ${ONNXRUNTIME_VERSION}, ${device}`
    this.precision = program.precision
    this.fixedBatch = program.fixedBatch
    this.session = new GradientSession(session, program, program.precision)
  }

  get placement(): Engine['placement'] {
    return this.session.placement
  }

  async run(parameters: Parameters, split: SplitData, batch: MicroBatch): Promise<MicroBatchResult> {
    const samples = { batch, sizes: [batch.size], prefix: '' }
    const { numerators, denominators, gradient } = await this.session.run(parameters, split, samples)
    const total = (name: string, values: FloatArray): number => this.total(name, values, batch)
    return {
      numerator: total(this.program.numerators, numerators),
      denominator: total(this.program.denominators, denominators),
      gradient,
    }
  }

  async close(): Promise<void> {
    await this.session.release()
  }

  /** The sum of the per-sample values, in float64. */
  private total(name: string, values: FloatArray, batch: MicroBatch): number {
    if (this.program.perSample && values.length !== batch.size)
      throw new EngineError(
        `'${name}' has ${values.length} elements for ${batch.size} samples: it has no batch axis`,
      )
    let sum = 0
    for (const value of values) sum += value
    return sum
  }
}
