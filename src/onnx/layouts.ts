import { UnsupportedModelError } from '../errors.js'
import { BYTES_PER_ELEMENT, sameShape } from '../tensor.js'
import { inverseOf, isIdentity, transposeBytes, transposedShape } from '../transpose.js'
import { constantOf } from './from-proto.js'
import type { Graph, Initializer, Node } from './graph.js'
import { onnxCode } from './dtypes.js'
import { PREFIX } from './node-builder.js'
import { plainNode } from './plain-node.js'
import { computedBy, renameReads } from './subgraph.js'

/** A weight that is to stand in the graph under another name, in another layout, or both. */
export interface Relaid {
  /** The initializer, as the network names it. */
  readonly parameter: string
  /** Its new name, which no other value of the graph has. */
  readonly name: string
  /** Its new shape. */
  readonly shape: readonly number[]
  /** The order of the new array's axes that makes it the network's, but for a reshape; absent where they stay. */
  readonly permutation?: readonly number[]
}

/** The names of a graph that a weight can't be given: all its values, those of graphs that nodes carry included. */
export function namesOf({ inputs, initializers, nodes }: Graph): Set<string> {
  return new Set([...inputs.map(({ name }) => name), ...initializers.keys(), ...computedBy(nodes)])
}

/**
 * The same network with some weights in another layout: each becomes an initializer of the new name and shape, from
 * which nodes (Transpose, Reshape) compute what the network reads. So gradients, units and positions are those of the new
 * layout. The initializers hold the same numbers as before.
 *
 * @throws UnsupportedModelError where a weight that keeps its name but not its layout is an output of the network
 */
export function withLayouts(graph: Graph, weights: readonly Relaid[]): Graph {
  const changed = weights.filter((weight) => !staysAsIs(graph, weight))
  if (changed.length === 0) return graph
  const taken = new Set([...namesOf(graph), ...changed.map(({ name }) => name)])
  const initializers = new Map(graph.initializers)
  const added: Node[] = []
  const renamed = new Map<string, string>()
  for (const weight of changed) {
    const before = graph.initializers.get(weight.parameter)!
    initializers.delete(weight.parameter)
    const value = valueName(graph, weight, taken)
    if (value !== weight.parameter) renamed.set(weight.parameter, value)
    added.push(...path(weight, before, value, taken, initializers))
  }
  // after all deletions: a weight may take the name that another one gives up
  for (const weight of changed)
    initializers.set(weight.name, turnedBack(graph.initializers.get(weight.parameter)!, weight))
  const rename = (name: string): string => renamed.get(name) ?? name
  return {
    ...graph,
    initializers,
    nodes: [...added, ...graph.nodes.map((node) => renameReads(node, rename))],
  }
}

function staysAsIs(graph: Graph, { parameter, name, shape, permutation }: Relaid): boolean {
  const before = graph.initializers.get(parameter)!
  return name === parameter && permutation === undefined && sameShape(before.shape, shape)
}

/** What nodes read in the network's layout: the weight's old name, unless its new one is the same. */
function valueName(graph: Graph, { parameter, name }: Relaid, taken: Set<string>): string {
  if (name !== parameter) return parameter
  if (graph.outputs.some((output) => output.name === parameter))
    throw new UnsupportedModelError(
      `'${parameter}' is a weight and an output of the network at once, in another layout than the checkpoints'; ` +
        'export the network without that output',
    )
  return freeName(`${PREFIX}network/${parameter}`, taken)
}

/** The nodes from the new initializer to what the network reads. */
function path(
  { parameter, name, shape, permutation }: Relaid,
  before: Initializer,
  value: string,
  taken: Set<string>,
  initializers: Map<string, Initializer>,
): Node[] {
  const turned = permutation ?? shape.map((_, axis) => axis)
  const moves = !isIdentity(turned)
  const reshapes = !sameShape(transposedShape(shape, turned), before.shape)
  if (!moves && !reshapes) return [plainNode('Identity', [name], value)]
  if (!reshapes) return [plainNode('Transpose', [name], value, { perm: turned })]
  const sizes = freeName(`${PREFIX}shape/${parameter}`, taken)
  initializers.set(sizes, integers(before.shape))
  if (!moves) return [plainNode('Reshape', [name, sizes], value)]
  const between = freeName(`${PREFIX}transposed/${parameter}`, taken)
  return [
    plainNode('Transpose', [name], between, { perm: turned }),
    plainNode('Reshape', [between, sizes], value),
  ]
}

/** The network's numbers in the new layout, read when they are asked for. */
function turnedBack(before: Initializer, { shape, permutation }: Relaid): Initializer {
  const { dtype, read } = before
  if (permutation === undefined || dtype === undefined) return { ...before, shape }
  const turned = transposedShape(shape, permutation)
  const bytes = (): Uint8Array =>
    transposeBytes(read(), BYTES_PER_ELEMENT[dtype], turned, inverseOf(permutation))
  return { ...before, shape, read: bytes }
}

function integers(values: readonly number[]): Initializer {
  const bytes = new Uint8Array(BigInt64Array.from(values, BigInt).buffer)
  return { ...constantOf([values.length], onnxCode('int64'), bytes), literal: true }
}

function freeName(name: string, taken: Set<string>): string {
  const free = taken.has(name) ? freeName(`${name}_`, taken) : name
  taken.add(free)
  return free
}
