import type { Graph } from '../onnx/graph.js'
import { readingOf } from '../onnx/usage.js'
import { listNames } from '../listing.js'
import type { Binding, BoundPair } from '../trajectory/bind.js'

/**
 * Says so where a kernel of Keras or Flax, found by its name, reads flattened images: they flatten with channels last, a
 * network of PyTorch's with channels first, and nothing in names or shapes tells whether the rows are in that order.
 */
export function flattenNotes(model: Graph, { pairs }: Binding): string[] {
  if (!model.nodes.some(({ op }) => op === 'Conv')) return []
  const doubtful = pairs.filter((pair) => isTranslatedKernel(pair) && readsFlattened(model, pair.parameter))
  if (doubtful.length === 0) return []
  return [
    `${listNames(doubtful.map(({ tensor }) => tensor))}: reads flattened images; if the checkpoints' network flattens them with ` +
      'channels last and this one with channels first, its rows are in another order and the loss is not the recorded one',
  ]
}

function isTranslatedKernel({ by, shape, permutation }: BoundPair): boolean {
  return by === 'translated name' && shape.length === 2 && permutation !== undefined
}

function readsFlattened(model: Graph, parameter: string): boolean {
  const reading = readingOf(model, parameter, 2)
  const data = reading?.node.inputs[1 - reading.input]
  const producer = model.nodes.find(({ outputs }) => data !== undefined && outputs.includes(data))
  return producer !== undefined && (producer.op === 'Flatten' || producer.op === 'Reshape')
}
