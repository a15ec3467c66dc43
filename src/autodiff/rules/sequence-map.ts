import type { GraphBuilder } from '../../onnx/builder.js'
import type { Graph, Initializer } from '../../onnx/graph.js'
import { renameReads, subgraphOf } from '../../onnx/subgraph.js'
import { RuleRefusal } from '../rule.js'
import type { RewriteContext } from '../rule.js'
import { followSequence } from './sequence-follow.js'

/**
 * SequenceMap 17 as its body written once for every element, and the results as sequences; undefined where the
 * elements are not known. Inputs after the first may be tensors, which every copy reads.
 */
export function mapped(c: RewriteContext): string[] | undefined {
  const { builder, node } = c
  const inputs = node.inputs.map((name) => elementsOf(builder, name))
  const [first] = inputs
  if (!Array.isArray(first) || inputs.includes(undefined)) return undefined
  const body = subgraphOf(builder.current(), node, 'body')
  const copies = first.map((_, i) =>
    inlined(
      builder,
      body,
      inputs.map((input) => (typeof input === 'string' ? input : input![i]!)),
    ),
  )
  return node.outputs.map((_, output) =>
    copies.length === 0
      ? builder.add('SequenceEmpty', [])
      : builder.add(
          'SequenceConstruct',
          copies.map((results) => results[output]!),
        ),
  )
}

/** The elements of a sequence, or the name of a tensor. */
function elementsOf(builder: GraphBuilder, value: string): readonly string[] | string | undefined {
  if (builder.info(value).dtype !== undefined) return value
  const sequence = followSequence(builder, value)
  return sequence?.kind === 'list' ? sequence.elements : undefined
}

/** Writes the nodes of a graph with values in the place of its inputs; gives the values of its outputs. */
function inlined(builder: GraphBuilder, body: Graph, inputs: readonly string[]): string[] {
  const names = new Map(body.inputs.map(({ name }, i): [string, string] => [name, inputs[i]!]))
  for (const [name, initializer] of body.initializers) names.set(name, constant(builder, name, initializer))
  const rename = (name: string): string => names.get(name) ?? name
  for (const node of body.nodes) {
    const renamed = renameReads(node, rename)
    const outputs = node.outputs.map((name) => (name === '' ? '' : builder.newName(node.op)))
    node.outputs.forEach((name, i) => names.set(name, outputs[i]!))
    builder.push({ ...renamed, outputs })
  }
  return body.outputs.map(({ name }) => rename(name))
}

function constant(builder: GraphBuilder, name: string, { dtype, shape, read }: Initializer): string {
  const bytes = new Uint8Array(read())
  switch (dtype) {
    case 'float32':
      return builder.constant(dtype, shape, [...new Float32Array(bytes.buffer)])
    case 'float64':
      return builder.constant(dtype, shape, [...new Float64Array(bytes.buffer)])
    case 'int64':
      return builder.constant(dtype, shape, Array.from(new BigInt64Array(bytes.buffer), Number))
    case 'int32':
      return builder.constant(dtype, shape, [...new Int32Array(bytes.buffer)])
    case 'bool':
      return builder.constant(dtype, shape, [...bytes])
    default:
      throw new RuleRefusal(`the constant '${name}' of its body is of a type that is not supported there`)
  }
}
