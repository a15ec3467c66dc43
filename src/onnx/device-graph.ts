import type { Graph } from './graph.js'
import { narrowIntegers } from './narrow-integers.js'
import { sizesOf, specialize } from './specialize.js'
import { unrollScans } from './unroll.js'

/**
 * A graph for a device that computes neither shapes nor 64-bit integers and runs no loops: for inputs of these shapes,
 * with all shape arithmetic done, Scans written out and integers in int32. Inputs of type int64 become int32.
 *
 * @param shapes of the inputs, by name
 * @throws UnsupportedModelError where a shape contradicts the input's, or another's
 */
export function deviceGraph(graph: Graph, shapes: ReadonlyMap<string, readonly number[]>): Graph {
  const sizes = sizesOf(graph.inputs, shapes)
  const sized = specialize(graph, sizes)
  const unrolled = unrollScans(sized)
  return narrowIntegers(unrolled === sized ? sized : specialize(unrolled, sizes))
}
