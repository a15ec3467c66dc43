import { UnsupportedModelError, UsageError } from '../errors.js'
import { namesFitting } from '../name-patterns.js'
import type { Graph, NamedValue } from '../onnx/graph.js'
import { capturedBy } from '../onnx/subgraph.js'

/** The graph with some initializers turned into plain inputs (an initializer listed as input can't be overridden). */
export function withParameters(graph: Graph, parameters: readonly string[]): Graph {
  const initializers = new Map(graph.initializers)
  const inputs = parameters.map((name): NamedValue => {
    const initializer = initializers.get(name)
    if (initializer === undefined) throw new UsageError(`the model has no initializer '${name}'`)
    if (initializer.dtype !== 'float32' && initializer.dtype !== 'float64')
      throw new UnsupportedModelError(
        `the network keeps '${name}' in ${initializer.dtype ?? 'a type that is not read'}: export it in float32 (the checkpoints may stay as they are)`,
      )
    initializers.delete(name)
    return { name, dtype: initializer.dtype, shape: initializer.shape }
  })
  return { ...graph, inputs: [...graph.inputs, ...inputs], initializers }
}

/** Inputs that say how an operator works, real numbers though they are. */
const SETTING_INPUTS: Readonly<Record<string, readonly number[]>> = {
  Resize: [1, 2],
  Upsample: [1],
  Dropout: [1],
  RoiAlign: [1],
  MaxRoiPool: [1],
}

/**
 * The weights of a network by name: its initializers of real numbers that `patterns` name, in the model's order.
 * Without patterns all that nodes compute with, but for constants that were written as nodes.
 *
 * @param patterns names; `*` stands for any characters, `?` for one
 * @throws UsageError where a pattern fits none
 */
export function weightsOf(graph: Graph, patterns?: readonly string[]): string[] {
  const real = [...graph.initializers].filter(([, { dtype }]) => dtype === 'float32' || dtype === 'float64')
  if (patterns !== undefined)
    return namesFitting(
      real.map(([name]) => name),
      patterns,
      '--parameters',
    )
  const computed = new Set(
    graph.nodes.flatMap((node) => [
      ...node.inputs.filter((_, i) => node.domain !== '' || SETTING_INPUTS[node.op]?.includes(i) !== true),
      ...capturedBy(node),
    ]),
  )
  const weights = real.flatMap(([name, { literal }]) =>
    literal !== true && computed.has(name) ? [name] : [],
  )
  if (weights.length > 0) return weights
  throw new UsageError(
    'the model has no initializers of type float32 or float64: a gradient needs weights to be taken with respect to',
  )
}
