import { differentiate } from '../../src/autodiff/differentiate.js'
import type { Graph, Initializer, Node } from '../../src/onnx/graph.js'
import { encodeModel } from '../../src/onnx/write.js'
import { graphOf, input, node, tensor } from './graphs.js'

const SIZE = 20_000

function graphWith(nodes: readonly Node[], initializers: Readonly<Record<string, Initializer>>): Graph {
  return graphOf({ inputs: [input('x', ['N', 4])], initializers, nodes, outputs: ['loss'] })
}

/** A chain of elementwise operators that read one weight again and again. */
function chain(): Graph {
  const ops = ['Sin', 'Tanh', 'Add']
  const nodes = Array.from({ length: SIZE }, (_, i) => {
    const op = ops[i % ops.length]!
    return node(op, op === 'Add' ? [`h${i}`, 'w'] : [`h${i}`], `h${i + 1}`)
  })
  const ends = [node('Identity', ['x'], 'h0'), ...nodes, node('Identity', [`h${SIZE}`], 'loss')]
  return graphWith(ends, { w: tensor('float32', [4], [1, 2, 3, 4]) })
}

/** Layers with a matrix each. */
function layers(): Graph {
  const count = SIZE / 4
  const matrix = tensor('float32', [4, 4], new Array<number>(16).fill(0.1))
  const nodes = Array.from({ length: count }, (_, i) => [
    node('MatMul', [`h${i}`, `w${i}`], `m${i}`),
    node('Add', [`m${i}`, 'b'], `a${i}`),
    node('Relu', [`a${i}`], `r${i}`),
    node('Reshape', [`r${i}`, 'rows'], `h${i + 1}`),
  ])
  const ends = [node('Identity', ['x'], 'h0'), ...nodes.flat(), node('Identity', [`h${count}`], 'loss')]
  return graphWith(ends, {
    ...Object.fromEntries(Array.from({ length: count }, (_, i) => [`w${i}`, matrix])),
    b: tensor('float32', [4], [0, 0, 0, 0]),
    rows: tensor('int64', [2], [-1, 4]),
  })
}

/** One value that is read ten thousand times. */
function fan(): Graph {
  const nodes = Array.from({ length: SIZE / 2 }, (_, i) => [
    node('Sin', ['d'], `s${i}`),
    node('Add', [i === 0 ? 'd' : `h${i}`, `s${i}`], `h${i + 1}`),
  ])
  const ends = [node('Mul', ['x', 'w'], 'd'), ...nodes.flat(), node('Identity', [`h${SIZE / 2}`], 'loss')]
  return graphWith(ends, { w: tensor('float32', [4], [1, 2, 3, 4]) })
}

const GRAPHS: Readonly<Record<string, () => Graph>> = { chain, layers, fan }

/** Differentiates one of the graphs, named on the command line, and prints how many gradients it has. */
const make = GRAPHS[process.argv[2] ?? '']
if (make !== undefined) {
  const graph = make()
  const parameters = [...graph.initializers]
    .filter(([, { dtype }]) => dtype === 'float32')
    .map(([name]) => name)
  const gradient = differentiate(graph, { parameters, loss: { kind: 'output', name: 'loss' } })
  if (encodeModel(gradient.graph).length === 0) throw new Error('the gradient graph is empty')
  process.stdout.write(`${gradient.gradients.size}\n`)
}
