import { readFileSync } from 'node:fs'
import type { Scalar, Tensor, Tensor1D, Variable } from '@tensorflow/tfjs'
import { EngineError, RetrogradError, UnsupportedOperatorError, reasonOf } from '../../errors.js'
import type { FloatArray } from '../../tensor.js'
import type { Engine, MicroBatch, MicroBatchResult, Parameters, SampleArray, SplitData } from '../engine.js'
import { rows, weights } from '../micro-batches.js'
import { loadTfjs } from './load.js'
import type { LoadedTfjs } from './load.js'
import { openNetwork } from './network.js'
import type { TfjsNetwork } from './network.js'
import type { NetworkFile } from './model.js'
import type { TfjsSetup } from './setup.js'

/**
 * Opens TensorFlow.js as an engine, in this process, for good.
 * @param threads that it may use for one operation; by default all cores
 * @throws DeviceError where the package does not load here
 * @throws EngineError where the network's file can't be read
 */
export async function openTfjsEngine(setup: TfjsSetup, threads?: number): Promise<Engine> {
  const loaded = await loadTfjs(setup.backend, threads)
  const network = await openNetwork(loaded.tf, readNetwork(setup.file), setup)
  return new TfjsEngine(loaded, network, setup)
}

function readNetwork(path: string): NetworkFile {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as NetworkFile
  } catch (error) {
    throw new EngineError(`${path}: the network can't be read again: ${reasonOf(error)}`)
  }
}

/** An operation that a backend does not have. */
export class MissingKernelError extends EngineError {
  constructor(
    readonly kernel: string,
    message: string,
  ) {
    super(message)
  }
}

/** Which variable is which parameter. */
export type VariableNames = Pick<TfjsSetup, 'parameters' | 'wanted'>

/** What one micro-batch leaves, off the tape. */
interface Evaluated {
  readonly numerators: FloatArray
  readonly denominators: FloatArray
  readonly gradients: ReadonlyMap<string, FloatArray>
}

/** TensorFlow.js as an engine: layers compute the loss, its own tape the gradient; one micro-batch at a time. */
export class TfjsEngine implements Engine {
  readonly description: string
  readonly precision = 'float32'
  readonly fixedBatch: boolean
  private readonly variables: ReadonlyMap<string, Variable>

  constructor(
    loaded: Pick<LoadedTfjs, 'name' | 'version'>,
    private readonly network: TfjsNetwork,
    private readonly names: VariableNames,
  ) {
    this.description = `tfjs ${loaded.version}, ${loaded.name}`
    this.fixedBatch = typeof network.batch === 'number'
    this.variables = new Map(
      Object.entries(names.parameters).map(([name, weight]) => [name, network.variables.get(weight)!]),
    )
  }

  run(parameters: Parameters, split: SplitData, batch: MicroBatch): Promise<MicroBatchResult> {
    // everything below is synchronous: tf.tidy and the tape allow nothing else
    return new Promise((resolve) => {
      this.assign(parameters)
      const { numerators, denominators, gradients } = this.evaluate(split, batch)
      resolve({
        numerator: total(numerators),
        denominator: total(denominators),
        gradient: (parameter) => gradients.get(parameter),
      })
    })
  }

  /** The parameters whose gradient a split of one micro-batch gives, whatever their values are. */
  gradientNames(split: SplitData): ReadonlySet<string> {
    const batch = { start: 0, count: split.samples, size: split.samples }
    return new Set(this.evaluate(split, batch).gradients.keys())
  }

  /**
   * The shape of what the loss judges, for the inputs of a split as one micro-batch.
   * @throws EngineError where TensorFlow.js can't compute it
   */
  outputShape(split: SplitData): readonly number[] {
    const { tf, inputs, predict } = this.network
    const batch = { start: 0, count: split.samples, size: split.samples }
    try {
      return tf.tidy(
        () => predict(inputs.map(({ name }) => this.tensor(name, split.inputs.get(name), batch))).shape,
      )
    } catch (error) {
      throw this.asTyped(error)
    }
  }

  close(): Promise<void> {
    for (const variable of this.network.variables.values()) variable.dispose()
    return Promise.resolve()
  }

  private assign(parameters: Parameters): void {
    const { tf } = this.network
    for (const [name, variable] of this.variables) {
      const values = parameters.get(name)
      if (values === undefined) throw new EngineError(`no values were given for the parameter '${name}'`)
      const numbers = values instanceof Float32Array ? values : Float32Array.from(values)
      const tensor = tf.tensor(numbers, variable.shape, 'float32')
      variable.assign(tensor)
      tensor.dispose()
    }
  }

  private evaluate(split: SplitData, batch: MicroBatch): Evaluated {
    const found: Evaluated[] = []
    try {
      this.network.tf.tidy(() => {
        found.push(this.differentiate(split, batch))
      })
    } catch (error) {
      throw this.asTyped(error)
    }
    return found[0]!
  }

  private differentiate(split: SplitData, batch: MicroBatch): Evaluated {
    const { tf, inputs, target, predict, loss } = this.network
    const data = inputs.map(({ name }) => this.tensor(name, split.inputs.get(name), batch))
    const judged = target && this.tensor('target', split.target, batch)
    const counts = tf.tensor1d(weights(batch, false) as Float32Array)
    const kept: Tensor[] = []
    const sum = (): Scalar => {
      const terms = loss({ prediction: predict(data), target: judged, weights: counts })
      // the tape's scope would let them go with everything else
      kept.push(tf.keep(terms.numerators.clone()), tf.keep(terms.denominators.clone()))
      return terms.numerators.sum()
    }
    try {
      const gradients = this.gradientsOf(sum)
      const [numerators, denominators] = kept.map((one) => (one as Tensor1D).dataSync<'float32'>())
      return { numerators: numerators!, denominators: denominators!, gradients }
    } finally {
      tf.dispose(kept)
    }
  }

  private gradientsOf(sum: () => Scalar): Map<string, FloatArray> {
    const { tf } = this.network
    const wanted = this.names.wanted.map((name) => this.variables.get(name)!)
    const { grads } = tf.variableGrads(sum, wanted)
    const found = this.names.wanted.flatMap((name, i) => {
      // undefined where the loss does not depend on the variable, whatever the type says
      const gradient = grads[wanted[i]!.name] as Tensor | null | undefined
      return gradient ? [[name, gradient.dataSync<'float32'>()] as const] : []
    })
    return new Map(found)
  }

  private tensor(name: string, array: SampleArray | undefined, batch: MicroBatch): Tensor {
    if (array === undefined) throw new EngineError(`no data was given for the network's input '${name}'`)
    const shape = [batch.size, ...array.sampleShape]
    const values = rows(array, batch)
    const { tf } = this.network
    if (values instanceof Float32Array) return tf.tensor(values, shape, 'float32')
    if (values instanceof Float64Array) return tf.tensor(Float32Array.from(values), shape, 'float32')
    return tf.tensor(Int32Array.from(values as ArrayLike<number | bigint>, Number), shape, 'int32')
  }

  private asTyped(error: unknown): Error {
    if (error instanceof RetrogradError) return error
    const reason = reasonOf(error).split('\n', 1)[0]!
    const [, kernel] = /Kernel '(\w+)' not registered/.exec(reason) ?? []
    if (kernel !== undefined)
      return new MissingKernelError(
        kernel,
        `${this.description} has no operation ${kernel}, which this network needs; export the network as ONNX and use --engine onnxruntime`,
      )
    if (/gradient function not found|no gradient/i.test(reason))
      return new UnsupportedOperatorError(
        `TensorFlow.js has no derivative for an operation of this network: ${reason}; export the network as ONNX and use --engine onnxruntime`,
      )
    return new EngineError(`${this.description} failed to compute the gradient: ${reason}`)
  }
}

/** The sum of per-sample values, in float64. */
function total(values: FloatArray): number {
  let sum = 0
  for (const value of values) sum += value
  return sum
}
