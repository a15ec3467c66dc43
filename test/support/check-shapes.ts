import { AssertionError } from 'chai'
import type { Graph, Shape, ValueInfo } from '../../src/onnx/graph.js'
import { Inference } from '../../src/onnx/infer.js'
import { formatShape } from '../../src/tensor.js'
import { runOnce } from './ort.js'
import type { Feed, Feeds } from './ort.js'

/**
 * Runs a graph with every value as an output and compares what inference says of each with what it is: element type,
 * static sizes, one size for one symbol (a product of symbols is the product of their sizes), and the elements of
 * followed integer values.
 *
 * @throws AssertionError naming the value, the claim and the truth
 */
export async function checkShapes(graph: Graph, feeds: Feeds): Promise<void> {
  const names = [...new Set(graph.nodes.flatMap(({ outputs }) => outputs).filter((name) => name !== ''))]
  const inference = new Inference(graph)
  const outputs = names.map((name) => ({ name, dtype: undefined, shape: undefined }))
  const actual = await runOnce({ ...graph, outputs }, feeds, 'disabled')
  const sizes = symbolSizes(graph, feeds)
  for (const name of names) {
    compareInfo(name, inference.info(name), actual[name]!, sizes)
    compareIntegers(name, inference.integers(name), actual[name]!, sizes)
  }
}

/** Sizes by symbol, as the graph's inputs have them. */
function symbolSizes(graph: Graph, feeds: Feeds): Map<string, number> {
  const sizes = new Map<string, number>()
  for (const { name, shape } of graph.inputs)
    shape?.forEach((dim, axis) => {
      if (typeof dim === 'string') sizes.set(dim, feeds[name]!.shape[axis]!)
    })
  return sizes
}

function compareInfo(name: string, claim: ValueInfo, actual: Feed, sizes: Map<string, number>): void {
  if (claim.dtype !== undefined && claim.dtype !== actual.dtype)
    throw new AssertionError(`'${name}' is inferred to be ${claim.dtype} and is ${actual.dtype}`)
  if (claim.shape === undefined) return
  if (!agrees(claim.shape, actual.shape, sizes))
    throw new AssertionError(
      `'${name}' is inferred to be ${formatShape(claim.shape)} and is ${formatShape(actual.shape)}`,
    )
}

function compareIntegers(
  name: string,
  claim: readonly (Shape[number] | undefined)[] | undefined,
  actual: Feed,
  sizes: Map<string, number>,
): void {
  if (claim === undefined) return
  const known = claim.every(
    (dim, i) => dim === undefined || sizeOf(dim, actual.values[i]!, sizes) === actual.values[i],
  )
  if (claim.length !== actual.values.length || !known)
    throw new AssertionError(
      `'${name}' is inferred to hold [${claim.join()}] and holds [${actual.values.join()}]`,
    )
}

function agrees(claim: Shape, actual: readonly number[], sizes: Map<string, number>): boolean {
  return (
    claim.length === actual.length &&
    claim.every((dim, axis) => sizeOf(dim, actual[axis]!, sizes) === actual[axis])
  )
}

/** The size that a dimension stands for; a symbol that is met for the first time stands for the size found there. */
function sizeOf(dim: Shape[number], found: number, sizes: Map<string, number>): number {
  if (typeof dim === 'number') return dim
  if (!sizes.has(dim)) {
    const factors = dim.split('*').map((part) => (/^\d+$/.test(part) ? Number(part) : sizes.get(part)))
    const known = dim.includes('*') && factors.every((factor) => factor !== undefined)
    sizes.set(dim, known ? factors.reduce((product, factor) => product * factor, 1) : found)
  }
  return sizes.get(dim)!
}
