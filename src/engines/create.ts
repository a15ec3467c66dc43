import type { GradientGraph } from '../autodiff/differentiate.js'
import { encodeModel } from '../onnx/write.js'
import { addTo } from '../tensor.js'
import type { FloatArray } from '../tensor.js'
import type { Engine, Parameters, SplitData } from './engine.js'
import { microBatches } from './micro-batches.js'
import type { Cut } from './micro-batches.js'
import { openOnnxRuntimeEngine } from './onnxruntime.js'
import type { OnnxRuntimeOptions } from './onnxruntime.js'
import { programOf } from './program.js'

/**
 * An engine for a gradient graph, in this process.
 * @throws EngineError when the runtime can't build a session from the graph
 */
export function createEngine(gradient: GradientGraph, options: OnnxRuntimeOptions = {}): Promise<Engine> {
  return openOnnxRuntimeEngine(encodeModel(gradient.graph), programOf(gradient), options)
}

/** Where an evaluation writes: the gradient of the split's loss, float64, row-major, one array per parameter. */
export type Gradients = ReadonlyMap<string, Float64Array>

/**
 * The mean loss of a split at `parameters` and its gradient, which overwrites `gradients`: micro-batches are added up
 * in float64 and divided once.
 * @throws EngineError when the graph fails to run. A loss that overflows is returned, not thrown.
 */
export async function evaluate(
  engine: Engine,
  parameters: Parameters,
  split: SplitData,
  cut: Cut,
  gradients: Gradients,
): Promise<{ readonly loss: number }> {
  for (const sum of gradients.values()) sum.fill(0)
  let [numerator, denominator] = [0, 0]
  for (const batch of microBatches(split.samples, cut, engine.fixedBatch)) {
    const result = await engine.run(parameters, split, batch)
    numerator += result.numerator
    denominator += result.denominator
    for (const [name, sum] of gradients) addGradient(sum, result.gradient(name))
  }
  for (const sum of gradients.values()) for (let i = 0; i < sum.length; i += 1) sum[i]! /= denominator
  return { loss: numerator / denominator }
}

function addGradient(sum: Float64Array, gradient: FloatArray | undefined): void {
  if (gradient !== undefined) addTo(sum, gradient)
}
