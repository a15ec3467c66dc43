import type { Graph } from '../onnx/graph.js'
import { narrowIntegers } from '../onnx/narrow-integers.js'
import { inOlderOpset } from '../onnx/older-opset.js'
import { sizesOf, specialize } from '../onnx/specialize.js'
import { unrollScans } from '../onnx/unroll.js'
import { adaptToProvider } from './provider.js'

/**
 * A graph for a device that computes neither shapes nor 64-bit integers and runs no loops: for inputs of these shapes,
 * with all shape arithmetic done, Scans written out, integers in int32, and once more in the forms for WebGPU, some of
 * which ask for sizes. Inputs of type int64 become int32. It is in opset 21 where its operators allow that.
 *
 * @param graph a gradient graph in the forms for WebGPU
 * @param shapes of the inputs, by name
 * @throws UnsupportedModelError where a shape contradicts the input's, or another's
 * @throws UnsupportedOperatorError for an operator that the provider fails on
 */
export function deviceGraph(graph: Graph, shapes: ReadonlyMap<string, readonly number[]>): Graph {
  const sizes = sizesOf(graph.inputs, shapes)
  const sized = specialize(graph, sizes)
  const unrolled = unrollScans(sized)
  const known = unrolled === sized ? sized : specialize(unrolled, sizes)
  const adapted = adaptToProvider(known, { forms: 'webgpu', batchNorm: 'running' })
  return inOlderOpset(narrowIntegers(adapted))
}
