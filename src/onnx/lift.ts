import { UnsupportedModelError } from '../errors.js'
import { attributes, intAttribute, intsAttribute, stringAttribute } from './attributes.js'
import { onnxCode } from './dtypes.js'
import { describeNode, opsetOf } from './graph.js'
import type { Graph, Initializer, Node } from './graph.js'
import { Inference } from './infer.js'
import { constantOf } from './from-proto.js'
import { plainNode } from './plain-node.js'
import { normalizeAxis } from './shapes/dims.js'
import { capturedBy, subgraphNames, subgraphOf, withSubgraphs } from './subgraph.js'

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
    Resize: [13, liftResize],
    BatchNormalization: [14, liftBatchNormalization],
  }

/** The graph in ai.onnx opset 18 or newer, the graphs that its nodes carry included. */
export function liftOpset(graph: Graph): Graph {
  if (opsetOf(graph) >= RULE_OPSET) return graph
  const initializers = new Map(graph.initializers)
  const nodes = new Lift(graph, initializers).all(graph, new Inference({ ...graph, nodes: [] }))
  return {
    ...graph,
    irVersion: Math.max(graph.irVersion, 8),
    opsets: new Map([...graph.opsets, ['', RULE_OPSET]]),
    initializers,
    nodes,
  }
}

class Lift {
  private readonly opset: number

  constructor(
    private readonly model: Graph,
    private readonly initializers: Map<string, Initializer>,
  ) {
    this.opset = opsetOf(model)
  }

  /** The nodes of the model or of a graph inside of it; what is lifted is taken in by the inference at once. */
  all(graph: Graph, inference: Inference): Node[] {
    const lifting: Lifting = {
      graph,
      constant: (values) => {
        const name = addConstant(this.initializers, this.model, values)
        inference.declare(name, { dtype: 'int64', shape: [values.length] }, values)
        return name
      },
      rank: (value) => inference.info(value).shape?.length,
    }
    return graph.nodes.flatMap((node) => {
      const change = node.domain === '' ? CHANGES[node.op] : undefined
      const inner = this.inBodies(node, inference)
      const lifted = change === undefined || this.opset >= change[0] ? [inner] : change[1](inner, lifting)
      for (const part of lifted) inference.visit(part)
      return lifted
    })
  }

  /** Of a body's inputs only what is declared is known: what follows for them, follows from lifted nodes. */
  private inBodies(node: Node, outer: Inference): Node {
    const names = subgraphNames(node)
    if (names.length === 0) return node
    const bodies = names.map((name): [string, Graph] => {
      const body = subgraphOf(this.model, node, name)
      return [name, { ...body, nodes: this.all(body, new Inference({ ...body, nodes: [] }, outer)) }]
    })
    return withSubgraphs(node, new Map(bodies))
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
  return [
    plainNode('Shape', [x], shape),
    axis === 0
      ? plainNode('Reshape', [x, constant([1, -1])], flat)
      : plainNode('Flatten', [x], flat, { axis }),
    { ...node, inputs: [flat], outputs: [result], attributes: attributes({ axis: -1 }) },
    plainNode('Reshape', [result, shape], y),
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

/** Before 13 every input had to be there: regions only count for one mode, and scales are empty where sizes are given. */
function liftResize(node: Node): Node[] {
  const [x = '', roi = '', scales = '', sizes = ''] = node.inputs
  const cropped =
    stringAttribute(node, 'coordinate_transformation_mode', 'half_pixel') === 'tf_crop_and_resize'
  const inputs = [x, cropped ? roi : '', sizes === '' ? scales : '', sizes]
  return [{ ...node, inputs: sizes === '' ? inputs.slice(0, 3) : inputs }]
}

/**
 * Before 14 a BatchNormalization with further outputs was one in training: mean and variance as they run on, and those
 * of the batch, which later versions don't give.
 */
function liftBatchNormalization(node: Node, { graph }: Lifting): Node[] {
  const [y = '', mean = '', variance = '', ...saved] = node.outputs
  if (node.outputs.slice(1).every((name) => name === '')) return [{ ...node, outputs: [y] }]
  const read = saved.find((name) => name !== '' && isRead(graph, name))
  if (read !== undefined)
    throw new UnsupportedModelError(
      `${describeNode(node)} gives the statistics of a batch ('${read}'), which it does not from opset 14 on: ` +
        `export the model with opset_version=${RULE_OPSET} or newer`,
    )
  const training = new Map([...node.attributes, ...attributes({ training_mode: 1 })])
  return [{ ...node, outputs: [y, mean, variance], attributes: training }]
}

function isRead(graph: Graph, value: string): boolean {
  return (
    graph.outputs.some(({ name }) => name === value) ||
    graph.nodes.some((node) => node.inputs.includes(value) || capturedBy(node).includes(value))
  )
}
