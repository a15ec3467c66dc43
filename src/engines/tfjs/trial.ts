import { totalmem } from 'node:os'
import { EngineError } from '../../errors.js'
import { elementCount } from '../../tensor.js'
import type { NamedValue } from '../../onnx/graph.js'
import type { SampleArray, SplitData } from '../engine.js'
import { MissingKernelError } from './engine.js'
import type { TfjsEngine } from './engine.js'
import type { TfjsNetwork } from './network.js'
import { largestOutput } from './size.js'

/** Samples of a trial where the batch is open: two, since one has no statistics. */
const SAMPLES = 2
/** What sizes that only data fix are tried with: large enough for a stack of poolings at last. */
const OPEN_SIZES = [8, 64, 256]

/**
 * The parameters that the loss depends on: the gradient is taken once, on zeros. So what TensorFlow.js can't compute is
 * known before any work is done.
 *
 * @throws MissingKernelError where the backend lacks an operation
 * @throws EngineError, UnsupportedOperatorError for networks that it can't differentiate
 */
export function dependsOn(engine: TfjsEngine, network: TfjsNetwork): ReadonlySet<string> {
  checkMemory(network)
  let failure: unknown
  for (const open of OPEN_SIZES) {
    try {
      return engine.gradientNames(zeros(engine, network, open))
    } catch (error) {
      if (error instanceof MissingKernelError || !(error instanceof EngineError)) throw error
      failure = error
      if (!hasOpenSizes(network)) break
    }
  }
  throw failure
}

/** @throws EngineError where one value of the network alone is larger than the machine's memory */
function checkMemory({ model, batch }: TfjsNetwork): void {
  const bytes = 4 * largestOutput(model) * (typeof batch === 'number' ? batch : 1)
  if (bytes < totalmem()) return
  throw new EngineError(
    `a layer of the network gives ${bytes.toPrecision(2)} bytes for one ${typeof batch === 'number' ? 'micro-batch' : 'sample'}, more than this machine has memory`,
  )
}

function hasOpenSizes({ inputs }: TfjsNetwork): boolean {
  return inputs.some(({ shape }) => shape?.some((dim, axis) => axis > 0 && typeof dim === 'string'))
}

function zeros(engine: TfjsEngine, { inputs, target, batch }: TfjsNetwork, open: number): SplitData {
  const samples = typeof batch === 'number' ? batch : SAMPLES
  const sized = ({ shape }: NamedValue): number[] =>
    (shape ?? []).slice(1).map((dim) => (typeof dim === 'number' ? dim : open))
  const filled = (value: NamedValue, sampleShape: readonly number[]): SampleArray => {
    const size = samples * elementCount(sampleShape)
    const whole = value.dtype === 'int32' || value.dtype === 'int64'
    return whole
      ? { dtype: 'int32', sampleShape, data: new Int32Array(size) }
      : { dtype: 'float32', sampleShape, data: new Float32Array(size) }
  }
  const given = new Map(inputs.map((input) => [input.name, filled(input, sized(input))]))
  if (target === undefined) return { samples, inputs: given }
  // sizes of the output follow from those of the inputs: the network itself says which
  const output = engine.outputShape({ samples, inputs: given }).slice(1)
  const shape = target.input.shape?.slice(1) ?? []
  const sampleShape = fitting(shape, output)
  return { samples, inputs: given, target: filled(target.input, sampleShape) }
}

/** The sizes of a target by those of the output; labels lack its class axis. */
function fitting(shape: readonly (number | string)[], output: readonly number[]): number[] {
  return shape.map((dim) =>
    typeof dim === 'number' ? dim : (output[Number(dim.split('.').at(-1)) - 1] ?? 1),
  )
}
