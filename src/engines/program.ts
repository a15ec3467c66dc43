import { DENOMINATORS, NUMERATORS } from '../autodiff/differentiate.js'
import type { GradientGraph } from '../autodiff/differentiate.js'
import { staticShape } from '../onnx/shapes/dims.js'

/** What an engine must know of a gradient graph to run it: plain data, which other processes can be handed. */
export interface GradientProgram {
  readonly precision: 'float32' | 'float64'
  /** Shapes of the graph's inputs that are parameters, by name. */
  readonly parameters: Readonly<Record<string, readonly number[]>>
  /** The data's inputs, the target's, and that of the samples' weights where the graph reads it. */
  readonly inputs: readonly string[]
  readonly target?: string
  readonly weight?: string
  readonly fixedBatch: boolean
  /** Whether the loss has one element per sample. */
  readonly perSample: boolean
  readonly numerators: string
  readonly denominators: string
  /** Output by parameter. */
  readonly gradients: Readonly<Record<string, string>>
}

export function programOf(gradient: GradientGraph): GradientProgram {
  const { graph, inputs, target, weight, batch, perSample, gradients } = gradient
  const data = new Set([...inputs.map(({ name }) => name), weight.name, target?.input.name])
  const parameters = graph.inputs.filter(({ name }) => !data.has(name))
  return {
    precision: weight.dtype === 'float64' ? 'float64' : 'float32',
    parameters: Object.fromEntries(parameters.map(({ name, shape }) => [name, staticShape(shape) ?? []])),
    inputs: inputs.map(({ name }) => name),
    ...(target && { target: target.input.name }),
    ...(graph.inputs.some(({ name }) => name === weight.name) && { weight: weight.name }),
    fixedBatch: typeof batch === 'number',
    perSample,
    numerators: NUMERATORS,
    denominators: DENOMINATORS,
    gradients: Object.fromEntries(gradients),
  }
}
