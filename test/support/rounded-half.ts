import { onnxCode } from '../../src/onnx/dtypes.js'
import { constantOf } from '../../src/onnx/from-proto.js'
import type { Graph, Initializer, Node } from '../../src/onnx/graph.js'
import { Inference } from '../../src/onnx/infer.js'
import { attributes } from '../../src/onnx/attributes.js'
import { plainNode } from '../../src/onnx/plain-node.js'
import { subgraphNames } from '../../src/onnx/subgraph.js'
import { widenFloat16 } from '../../src/io/float16.js'

const FLOAT16 = onnxCode('float16')
const FLOAT32 = onnxCode('float32')
/** x (2^13 + 1) rounded, less what it is above x, has 24 - 13 bits of x (Veltkamp's splitting). */
const SPLITTER = 2 ** 13 + 1

/**
 * A graph that computes in float32 what another one computes in float16, every number of it rounded to float16's 11 bits.
 * ONNX Runtime's CPU provider computes float16 by casts on both sides and leaves out those that undo each other, and so
 * rounds next to nothing. For numbers within float16's range; graphs without bodies.
 */
export function roundedHalf(graph: Graph): Graph {
  const known = new Inference(graph)
  const isHalf = (name: string): boolean => known.info(name).dtype === 'float16'
  const nodes = graph.nodes.flatMap((node): Node[] => {
    if (subgraphNames(node).length > 0) throw new Error(`${node.op} has a body`)
    const halves = node.outputs.filter(isHalf)
    if (halves.length === 0) return [node]
    if (node.attributes.has('value')) throw new Error(`${node.op} has a value of its own`)
    const exact = node.outputs.map((name) => (halves.includes(name) ? `${name}/exact` : name))
    const casts = node.op === 'Cast' && Number(node.attributes.get('to')?.i) === FLOAT16
    const settings = casts ? new Map([...node.attributes, ...attributes({ to: FLOAT32 })]) : node.attributes
    return [{ ...node, outputs: exact, attributes: settings }, ...halves.flatMap(rounding)]
  })
  const scalar = constantOf([], FLOAT32, new Uint8Array(Float32Array.of(SPLITTER).buffer))
  const initializers = [...graph.initializers].map(([name, one]): [string, Initializer] => [
    name,
    widened(one),
  ])
  return { ...graph, nodes, initializers: new Map([...initializers, ['splitter', scalar]]) }
}

function rounding(name: string): Node[] {
  const exact = `${name}/exact`
  return [
    plainNode('Mul', [exact, 'splitter'], `${name}/large`),
    plainNode('Sub', [`${name}/large`, exact], `${name}/above`),
    plainNode('Sub', [`${name}/large`, `${name}/above`], name),
  ]
}

function widened(one: Initializer): Initializer {
  if (one.dtype !== 'float16') return one
  const values = widenFloat16(new Uint16Array(Uint8Array.from(one.read()).buffer))
  return { ...one, ...constantOf(one.shape, FLOAT32, new Uint8Array(Float32Array.from(values).buffer)) }
}
