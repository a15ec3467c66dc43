import { quotient, product } from './shapes/dims.js'
import type { Dim, Graph } from './graph.js'
import { Inference } from './infer.js'

/**
 * How many elements a graph computes for one sample: the sum over all values whose size grows with the batch axis and
 * is otherwise known. A measure of the memory that a micro-batch takes.
 */
export function elementsPerSample(graph: Graph, batch: Dim): number {
  const inference = new Inference(graph)
  let total = 0
  for (const name of graph.nodes.flatMap(({ outputs }) => outputs)) {
    const { shape } = inference.info(name)
    const share = shape && quotient(product(shape), batch)
    if (typeof share === 'number') total += share
  }
  return total
}
