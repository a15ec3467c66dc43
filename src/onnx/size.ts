import { quotient, product } from './shapes/dims.js'
import type { Dim, Graph } from './graph.js'
import { Inference } from './infer.js'

/**
 * How many elements a graph computes for one sample: the sum over all values whose size grows with the batch axis and
 * is otherwise known. A measure of the memory that a micro-batch takes.
 */
export function elementsPerSample(graph: Graph, batch: Dim): number {
  let total = 0
  for (const share of sharesOfSample(graph, batch)) total += share
  return total
}

/** Elements of one sample in the largest value of a graph. */
export function largestPerSample(graph: Graph, batch: Dim): number {
  let largest = 0
  for (const share of sharesOfSample(graph, batch)) largest = Math.max(largest, share)
  return largest
}

function* sharesOfSample(graph: Graph, batch: Dim): Generator<number> {
  const inference = new Inference(graph)
  for (const name of graph.nodes.flatMap(({ outputs }) => outputs)) {
    const { shape } = inference.info(name)
    const share = shape && quotient(product(shape), batch)
    if (typeof share === 'number') yield share
  }
}
