import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Graph, Node } from '../../src/onnx/graph.js'
import { readModel } from '../../src/onnx/read.js'
import { encodeModel } from '../../src/onnx/write.js'
import { node, tensor } from '../support/graphs.js'
import { newFolder } from './command.js'

const CHANNELS = 8
const CONSTANTS = {
  'bn.weight': tensor('float32', [CHANNELS], [1, 2, 0.5, 1, 1.5, 1, 2, 1]),
  'bn.bias': tensor('float32', [CHANNELS], [0, 1, 0, 0.5, 0, 0.2, 0, 0]),
  'bn.mean': tensor('float32', [CHANNELS], [0.1, 0, 0, -0.1, 0, 0.2, 0, 0]),
  'bn.var': tensor('float32', [CHANNELS], [0.5, 1, 1, 2, 1, 1, 0.3, 1]),
}

/** The demo's network with a BatchNormalization behind its first convolution, whose tensors are constants of the file. */
export async function normalized(change: (graph: Graph) => Graph = (graph) => graph): Promise<string> {
  const graph = await readModel('fixtures/mnist-lenet/model.onnx')
  const norm = node('BatchNormalization', ['before', ...Object.keys(CONSTANTS)], 'conv2d')
  const nodes = graph.nodes.flatMap((one): Node[] =>
    one.outputs[0] === 'conv2d' ? [{ ...one, outputs: ['before'] }, norm] : [one],
  )
  const initializers = new Map([...graph.initializers, ...Object.entries(CONSTANTS)])
  const path = join(newFolder(), 'model.onnx')
  writeFileSync(path, encodeModel(change({ ...graph, nodes, initializers })))
  return path
}
