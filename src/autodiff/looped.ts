import { attributes } from '../onnx/attributes.js'
import { constantOf } from '../onnx/from-proto.js'
import { onnxCode } from '../onnx/dtypes.js'
import type { Graph, Initializer, NamedValue, Node } from '../onnx/graph.js'
import { plainNode } from '../onnx/plain-node.js'
import { capturedBy, graphAttribute, renameReads } from '../onnx/subgraph.js'
import { DENOMINATORS, NUMERATORS } from './differentiate.js'
import type { GradientGraph } from './differentiate.js'

/** In front of the names of values that only the loop has, so that they meet no other. */
const OWN = 'retrograd/looped/'
/** In front of the names of the data's inputs, which hold several micro-batches: [n, batch, ...]. */
export const GROUP = `${OWN}group/`

/**
 * A gradient graph that goes over several micro-batches of one size in one run, so that parameters go to a device once
 * and gradients come back once. A Scan (ONNX 11) around the graph takes the data's inputs slice by slice, [n, batch, ...],
 * and adds gradients up in float64. What depends on the parameters alone is computed once, in front of it.
 *
 * Outputs: `loss/numerators` and `loss/denominators` of all micro-batches, [n, batch], and `gradient/NAME`, the gradient of
 * the numerators' sum over all of them, in float64.
 */
export function loopedGradient({ graph: given, gradients, inputs, target, weight }: GradientGraph): Graph {
  const data = new Set([...inputs.map(({ name }) => name), weight.name, target?.input.name])
  const graph = withInnerOutputs(given)
  const scanned = graph.inputs.filter(({ name }) => data.has(name))
  const parameters = graph.inputs.filter(({ name }) => !data.has(name))
  const { outside, inside } = split(graph, scanned, parameters)
  const constants = sharedOut(graph.initializers, outside, inside)
  const sums = [...gradients].map(([parameter, output]) => sumOf(parameter, output, graph))
  const body: Graph = {
    ...graph,
    inputs: [...sums.map(({ before }) => before), ...scanned],
    outputs: [...sums.map(({ after }) => after), ...TERMS.map((name) => named(`${OWN}stacked/${name}`))],
    initializers: constants.inside,
    nodes: [
      ...constants.nodes,
      ...sums.flatMap(({ nodes }) => nodes),
      ...TERMS.map((name) => plainNode('Identity', [inner(name)], `${OWN}stacked/${name}`)),
    ],
  }
  const groups = scanned.map(groupInput)
  const zeros = sums.map((sum) => sum.zeros)
  const totals = sums.map(({ total }) => total)
  return {
    ...graph,
    inputs: [...parameters, ...groups],
    outputs: [...totals, ...TERMS.map(named)],
    initializers: new Map([...constants.outside, ...sums.flatMap((sum) => sum.constants)]),
    nodes: [
      ...outside,
      ...zeros,
      scan(
        body,
        [...zeros.flatMap(({ outputs }) => outputs), ...groups.map(({ name }) => name)],
        groups.length,
        [...totals.map(({ name }) => name), ...TERMS],
      ),
    ],
  }
}

const TERMS = [NUMERATORS, DENOMINATORS]

function named(name: string): NamedValue {
  return { name, dtype: undefined, shape: undefined }
}

function scan(body: Graph, inputs: readonly string[], scanned: number, outputs: readonly string[]): Node {
  const settings = attributes({ num_scan_inputs: scanned })
  return {
    ...plainNode('Scan', inputs, ''),
    outputs,
    attributes: new Map([...settings, ['body', graphAttribute('body', body)]]),
  }
}

function inner(output: string): string {
  return `${OWN}inner/${output}`
}

/** The graph's outputs under other names: a body may not repeat a name from around it, where the Scan's outputs get theirs. */
function withInnerOutputs(graph: Graph): Graph {
  const outputs = new Set(graph.outputs.map(({ name }) => name))
  const rename = (name: string): string => (outputs.has(name) ? inner(name) : name)
  return {
    ...graph,
    nodes: graph.nodes.map((node) => ({ ...renameReads(node, rename), outputs: node.outputs.map(rename) })),
  }
}

function groupInput({ name, dtype, shape }: NamedValue): NamedValue {
  return { name: `${GROUP}${name}`, dtype, shape: shape && ['micro_batches', ...shape] }
}

/**
 * Nodes that are computed once, because they depend on parameters and not on data, and those of every micro-batch. What
 * depends on neither stays with the latter, where the engine computes it beforehand, unless the former need it.
 */
function split(
  graph: Graph,
  data: readonly NamedValue[],
  parameters: readonly NamedValue[],
): { readonly outside: readonly Node[]; readonly inside: readonly Node[] } {
  const [ofData, ofParameters] = [data, parameters].map(
    (inputs) => new Set(inputs.map(({ name }) => name)),
  ) as [Set<string>, Set<string>]
  const once = new Set<Node>()
  for (const node of graph.nodes) {
    const into = [ofData, ofParameters].find((known) => readsOf(node).some((name) => known.has(name)))
    for (const name of node.outputs) into?.add(name)
    if (into === ofParameters) once.add(node)
  }
  const needed = new Set([...once].flatMap(readsOf))
  for (const node of graph.nodes.toReversed()) {
    if (!node.outputs.some((name) => needed.has(name))) continue
    once.add(node)
    for (const name of readsOf(node)) needed.add(name)
  }
  return {
    outside: graph.nodes.filter((node) => once.has(node)),
    inside: graph.nodes.filter((node) => !once.has(node)),
  }
}

function readsOf(node: Node): readonly string[] {
  return [...node.inputs, ...capturedBy(node)].filter((name) => name !== '')
}

/**
 * Constants go where they are read; those that are read on both sides are there twice, under two names, so that no value
 * has to be brought from around the loop, perhaps from another device's memory, in every iteration.
 */
function sharedOut(
  all: ReadonlyMap<string, Initializer>,
  outside: readonly Node[],
  inside: readonly Node[],
): {
  readonly outside: ReadonlyMap<string, Initializer>
  readonly inside: ReadonlyMap<string, Initializer>
  readonly nodes: readonly Node[]
} {
  const outer = new Set(outside.flatMap(readsOf))
  const rename = (name: string): string => (all.has(name) && outer.has(name) ? `${OWN}${name}` : name)
  const nodes = inside.map((node) => renameReads(node, rename))
  const inner = new Set(nodes.flatMap(readsOf))
  return {
    outside: new Map([...all].filter(([name]) => outer.has(name))),
    inside: new Map(
      [...all]
        .map(([name, value]): [string, Initializer] => [rename(name), value])
        .filter(([name]) => inner.has(name)),
    ),
    nodes,
  }
}

/** A gradient's running sum: what it begins as, its nodes in the loop, and what it is in the end. */
interface Sum {
  readonly before: NamedValue
  readonly after: NamedValue
  readonly constants: readonly (readonly [string, Initializer])[]
  readonly zeros: Node
  readonly nodes: readonly Node[]
  readonly total: NamedValue
}

function sumOf(parameter: string, output: string, graph: Graph): Sum {
  const { shape } = graph.inputs.find(({ name }) => name === parameter)!
  const sizes = (shape ?? []).map(Number)
  const state = (name: string): NamedValue => ({
    name: `${OWN}${name}/${parameter}`,
    dtype: 'float64',
    shape: sizes,
  })
  const [before, after] = [state('before'), state('after')]
  const [term, lengths, zero] = [`${OWN}term/${parameter}`, `${OWN}sizes/${parameter}`, `${OWN}zero`]
  return {
    before,
    after,
    constants: [
      [zero, constantOf([], onnxCode('float64'), new Uint8Array(8))],
      [
        lengths,
        constantOf(
          [sizes.length],
          onnxCode('int64'),
          new Uint8Array(BigInt64Array.from(sizes, BigInt).buffer),
        ),
      ],
    ],
    zeros: plainNode('Expand', [zero, lengths], `${OWN}zeros/${parameter}`),
    nodes: [
      plainNode('Cast', [inner(output)], term, { to: onnxCode('float64') }),
      plainNode('Add', [before.name, term], after.name),
    ],
    total: { name: output, dtype: 'float64', shape: sizes },
  }
}
