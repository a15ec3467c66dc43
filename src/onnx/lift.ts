import { UnsupportedModelError } from '../errors.js'
import { attributes, hasSubgraph, intAttribute, intsAttribute } from './attributes.js'
import { onnxCode } from './dtypes.js'
import { describeNode, opsetOf } from './graph.js'
import type { Graph, Initializer, Node } from './graph.js'
import { Inference } from './infer.js'
import { constantOf } from './read.js'
import { normalizeAxis } from './shapes/dims.js'

/**
 * The operator set that the derivative rules are written in. Older graphs are lifted to it, so that rules and the
 * nodes that they emit know one form of every operator (ScatterElements adds from 16 on, all reductions take their
 * axes as an input from 18 on); newer graphs stay as they are.
 */
export const RULE_OPSET = 18

/** What a lifted operator may add to the graph beside its node, a constant, and what is known of its inputs. */
interface Lifting {
  readonly graph: Graph
  readonly constant: (values: readonly number[]) => string
  readonly rank: (value: string) => number | undefined
}

/** The operators whose form or meaning changed between opset 11 and 18: [first version of the new form, rewriting]. */
const CHANGES: Readonly<Record<string, readonly [since: number, lift: (node: Node, to: Lifting) => Node[]]>> =
  {
    Softmax: [13, liftFlattening],
    LogSoftmax: [13, liftFlattening],
    Hardmax: [13, liftFlattening],
    Squeeze: [13, axesToInput],
    Unsqueeze: [13, axesToInput],
    ReduceSum: [13, axesToInput],
    ReduceMean: [18, axesToInput],
    ReduceMax: [18, axesToInput],
    ReduceMin: [18, axesToInput],
    ReduceProd: [18, axesToInput],
    ReduceL1: [18, axesToInput],
    ReduceL2: [18, axesToInput],
    ReduceLogSum: [18, axesToInput],
    ReduceLogSumExp: [18, axesToInput],
    ReduceSumSquare: [18, axesToInput],
    Split: [18, liftSplit],
    Dropout: [12, liftDropout],
    RoiAlign: [16, liftRoiAlign],
  }

/** The graph in ai.onnx opset 18 or newer. Throws UnsupportedModelError for an older graph with control flow. */
export function liftOpset(graph: Graph): Graph {
  const opset = opsetOf(graph)
  if (opset >= RULE_OPSET) return graph
  const initializers = new Map(graph.initializers)
  const inference = new Inference({ ...graph, nodes: [] })
  const lifting: Lifting = {
    graph,
    constant: (values) => {
      const name = addConstant(initializers, graph, values)
      inference.declare(name, { dtype: 'int64', shape: [values.length] }, values)
      return name
    },
    rank: (value) => inference.info(value).shape?.length,
  }
  const nodes = graph.nodes.flatMap((node) => {
    if (hasSubgraph(node))
      throw new UnsupportedModelError(
        `${describeNode(node)} holds a subgraph in opset ${opset}: export the model with opset_version=${RULE_OPSET} or newer`,
      )
    const change = node.domain === '' ? CHANGES[node.op] : undefined
    const lifted = change === undefined || opset >= change[0] ? [node] : change[1](node, lifting)
    for (const part of lifted) inference.visit(part)
    return lifted
  })
  return {
    ...graph,
    irVersion: Math.max(graph.irVersion, 8),
    opsets: new Map([...graph.opsets, ['', RULE_OPSET]]),
    initializers,
    nodes,
  }
}

function addConstant(
  initializers: Map<string, Initializer>,
  graph: Graph,
  values: readonly number[],
): string {
  const name = `lifted/int64[${values.join(',')}]`
  if (!initializers.has(name)) {
    const data = BigInt64Array.from(values, BigInt)
    initializers.set(name, constantOf([values.length], onnxCode('int64'), new Uint8Array(data.buffer)))
  }
  if (graph.initializers.has(name))
    throw new UnsupportedModelError(`the model uses the reserved name '${name}'`)
  return name
}

function without(node: Node, ...names: string[]): Node['attributes'] {
  return new Map([...node.attributes].filter(([name]) => !names.includes(name)))
}

function axesToInput(node: Node, { constant }: Lifting): Node[] {
  const axes = intsAttribute(node, 'axes')
  const inputs = axes === undefined ? node.inputs : [...node.inputs.slice(0, 1), constant(axes)]
  return [{ ...node, inputs, attributes: without(node, 'axes') }]
}

/**
 * Before 13 an input of any rank was flattened to two dimensions at `axis` (default 1) and normalised over the second.
 * Over the last axis that is the new form itself.
 */
function liftFlattening(node: Node, { constant, rank }: Lifting): Node[] {
  const axis = intAttribute(node, 'axis', 1)
  const known = rank(node.inputs[0] ?? '')
  if (axis === -1 || (known !== undefined && normalizeAxis(axis, known) === known - 1))
    return [{ ...node, attributes: attributes({ axis: -1 }) }]
  const [x = ''] = node.inputs
  const [y = ''] = node.outputs
  const [flat, result, shape] = [`lifted/flat/${y}`, `lifted/result/${y}`, `lifted/shape/${y}`]
  const at = (op: string, inputs: string[], outputs: string[], values = {}): Node => ({
    name: '',
    domain: '',
    op,
    inputs,
    outputs,
    attributes: attributes(values),
  })
  return [
    at('Shape', [x], [shape]),
    axis === 0 ? at('Reshape', [x, constant([1, -1])], [flat]) : at('Flatten', [x], [flat], { axis }),
    { ...node, inputs: [flat], outputs: [result], attributes: attributes({ axis: -1 }) },
    at('Reshape', [result, shape], [y]),
  ]
}

/** From 18 on a Split without sizes must say the number of its outputs. */
function liftSplit(node: Node, { graph, constant }: Lifting): Node[] {
  const sizes = opsetOf(graph) < 13 ? intsAttribute(node, 'split') : undefined
  if (sizes !== undefined)
    return [{ ...node, inputs: [...node.inputs, constant(sizes)], attributes: without(node, 'split') }]
  if ((node.inputs[1] ?? '') !== '') return [node]
  const count = attributes({ num_outputs: node.outputs.length })
  return [{ ...node, attributes: new Map([...node.attributes, ...count]) }]
}

/** In inference Dropout is the identity whatever its ratio, which moved from an attribute to an input. */
function liftDropout(node: Node): Node[] {
  return [{ ...node, attributes: without(node, 'ratio') }]
}

/** From 16 on coordinates are shifted by half a pixel unless a node says otherwise. */
function liftRoiAlign(node: Node): Node[] {
  const mode = attributes({ coordinate_transformation_mode: 'output_half_pixel' })
  return [{ ...node, attributes: new Map([...mode, ...node.attributes]) }]
}
