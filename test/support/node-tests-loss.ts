import { dtypeOf, onnxCode } from '../../src/onnx/dtypes.js'
import type { Graph, Initializer, NamedValue, Node } from '../../src/onnx/graph.js'
import type { DType } from '../../src/tensor.js'
import type { GradientCheck } from './check-gradient.js'
import { graphOf, input, node, tensor } from './graphs.js'
import { isReal, numbersOf } from './node-tests-types.js'
import { constantLeaf } from './node-tests-graph.js'
import type { Leaf, Problem } from './node-tests-graph.js'
import type { Feed } from './ort.js'
import { Random } from './random.js'

/** Values of the inputs that are differentiated, by name. */
export type Point = ReadonlyMap<string, readonly number[]>

/**
 * What is known of a network when it is differentiated. `all`: every size, and integer inputs are constants. `ranks`:
 * sizes are symbols, and integers come as data.
 */
export type Knowledge = 'all' | 'ranks'

/** A parameter that every loss surely depends on: where no other has a derivative, that is a result and no error. */
export const ANCHOR = 'test/anchor'

interface Parts {
  readonly inputs: NamedValue[]
  readonly initializers: Map<string, Initializer>
  readonly nodes: Node[]
  readonly parameters: Record<string, Feed>
  readonly data: Record<string, Feed>
}

/** Integers that can come as data in these tests. */
const DATA_TYPES: ReadonlySet<DType | undefined> = new Set(['int64', 'int32', 'bool'] as const)

/** The type that a loss of these results is computed in. */
export function lossType(problem: Problem): 'float32' | 'float64' {
  const types = problem.results.map(({ expected }) => dtypeOf(expected.code))
  return types.includes('float64') ? 'float64' : 'float32'
}

/**
 * The test's operator as a network with one sample: the point's inputs are parameters, and the loss is every finite
 * element of the real results times a fixed random number. Half precision is cast to and from at the edges.
 *
 * @param finite for every real result which of its elements are numbers at the point
 */
export function lossGraph(
  problem: Problem,
  point: Point,
  finite: ReadonlyMap<string, readonly boolean[]>,
  knowledge: Knowledge,
): GradientCheck {
  const dtype = lossType(problem)
  const parts = withLeaves(problem, point, knowledge)
  parts.initializers.set('test/row', tensor('int64', [2], [1, -1]))
  parts.initializers.set(ANCHOR, tensor(dtype, [1, 1], [0]))
  parts.parameters[ANCHOR] = { dtype, shape: [1, 1], values: [0] }
  const terms = [...finite].flatMap(([name, known]) =>
    known.some((one) => one) ? [weighted(parts, problem, name, known)] : [],
  )
  parts.nodes.push(node('Concat', [ANCHOR, ...terms], 'test/loss', { axis: 1 }))
  const { parameters, data } = parts
  return { graph: finished(problem, parts, ['test/loss']), parameters, data, loss: 'test/loss' }
}

/** The problem with its results as outputs. */
export function forwardGraph(problem: Problem, point: Point): GradientCheck {
  const parts = withLeaves(problem, point, 'all')
  const outputs = problem.results.map(({ name, expected }) => {
    if (!isHalf(dtypeOf(expected.code))) return name
    parts.nodes.push(node('Cast', [name], `test/wide/${name}`, { to: onnxCode('float32') }))
    return `test/wide/${name}`
  })
  const { parameters, data } = parts
  return { graph: finished(problem, parts, outputs), parameters, data, loss: '' }
}

function finished(problem: Problem, parts: Parts, outputs: readonly string[]): Graph {
  const { opsets, irVersion } = problem.graph
  const { inputs, nodes } = parts
  return { ...graphOf({ inputs, outputs, nodes, opsets, irVersion }), initializers: parts.initializers }
}

function withLeaves(problem: Problem, point: Point, knowledge: Knowledge): Parts {
  const dtype = lossType(problem)
  const parts: Parts = {
    inputs: [input('test/sample', [1], dtype)],
    initializers: new Map(problem.graph.initializers),
    nodes: [],
    parameters: {},
    data: { 'test/sample': { dtype, shape: [1], values: [0] } },
  }
  for (const leaf of problem.leaves) addLeaf(parts, leaf, point.get(leaf.name), knowledge)
  parts.nodes.push(...problem.graph.nodes)
  return parts
}

function addLeaf(
  parts: Parts,
  leaf: Leaf,
  values: readonly number[] | undefined,
  knowledge: Knowledge,
): void {
  const { name, tensor: stored } = leaf
  const dtype = dtypeOf(stored.code)
  if (values !== undefined) addParameter(parts, leaf, values, knowledge)
  else if (knowledge === 'ranks' && DATA_TYPES.has(dtype) && !isIndex(name) && stored.bytes.length > 0)
    addData(parts, name, { dtype: dtype!, shape: stored.shape, values: numbersOf(stored) })
  else parts.initializers.set(name, constantLeaf(leaf))
}

/** Places in the sequences of a test's outputs belong to the test. */
function isIndex(name: string): boolean {
  return /\/at\d+$/.test(name)
}

/** A vector of integers keeps its length, on which ranks of results depend. */
function addData(parts: Parts, name: string, feed: Feed): void {
  if (feed.shape.length > 1 && !feed.shape.includes(0)) {
    fromData(parts, name, feed)
    return
  }
  const shape = [1, ...feed.shape]
  parts.inputs.push(input(`${name}/data`, shape, feed.dtype))
  parts.data[`${name}/data`] = { ...feed, shape }
  parts.initializers.set(`${name}/shape`, tensor('int64', [feed.shape.length], feed.shape))
  parts.nodes.push(node('Reshape', [`${name}/data`, `${name}/shape`], name))
}

/** A value that is read from data, its sizes being symbols. */
function fromData(parts: Parts, name: string, feed: Feed): void {
  const symbols = feed.shape.map((_, axis) => `${name}.${axis}`)
  parts.inputs.push(input(`${name}/data`, [1, ...symbols], feed.dtype))
  parts.data[`${name}/data`] = { ...feed, shape: [1, ...feed.shape] }
  sizesOf(parts, name, feed.shape.length)
  parts.nodes.push(node('Reshape', [`${name}/data`, `${name}/size`], name))
}

/** The sizes of the data behind the first axis. */
function sizesOf(parts: Parts, name: string, rank: number): void {
  const axes = Array.from({ length: rank }, (_, axis) => axis + 1)
  parts.initializers.set(`${name}/axes`, tensor('int64', [rank], axes))
  parts.nodes.push(
    node('Shape', [`${name}/data`], `${name}/sizes`),
    node('Gather', [`${name}/sizes`, `${name}/axes`], `${name}/size`),
  )
}

function addParameter(
  parts: Parts,
  { name, tensor: stored }: Leaf,
  values: readonly number[],
  knowledge: Knowledge,
): void {
  const half = isHalf(dtypeOf(stored.code))
  const dtype = half ? 'float32' : dtypeOf(stored.code)!
  const known = knowledge === 'all' || stored.shape.length === 0 || stored.shape.includes(0)
  const full = half ? `${name}/full` : name
  const shape = known ? stored.shape : [values.length]
  const parameter = known ? full : `${name}/flat`
  parts.initializers.set(parameter, tensor(dtype, shape, values))
  parts.parameters[parameter] = { dtype, shape, values }
  if (!known) shapedLikeData(parts, name, parameter, full, { dtype, shape: stored.shape, values })
  if (half) parts.nodes.push(node('Cast', [full], name, { to: stored.code }))
}

function shapedLikeData(parts: Parts, name: string, flat: string, result: string, feed: Feed): void {
  const symbols = feed.shape.map((_, axis) => `${name}.${axis}`)
  parts.inputs.push(input(`${name}/data`, [1, ...symbols], feed.dtype))
  parts.data[`${name}/data`] = { ...feed, shape: [1, ...feed.shape], values: feed.values.map(() => 0) }
  sizesOf(parts, name, feed.shape.length)
  parts.nodes.push(node('Reshape', [flat, `${name}/size`], result))
}

function weighted(parts: Parts, problem: Problem, name: string, known: readonly boolean[]): string {
  const dtype = lossType(problem)
  const result = problem.results.find((one) => one.name === name)!
  const other = dtypeOf(result.expected.code) !== dtype
  if (other) parts.nodes.push(node('Cast', [name], `test/cast/${name}`, { to: onnxCode(dtype) }))
  parts.nodes.push(node('Reshape', [other ? `test/cast/${name}` : name, 'test/row'], `test/row/${name}`))
  const places = known.flatMap((one, i) => (one ? [i] : []))
  const all = places.length === known.length
  if (!all) {
    parts.initializers.set(`test/places/${name}`, tensor('int64', [places.length], places))
    parts.nodes.push(
      node('Gather', [`test/row/${name}`, `test/places/${name}`], `test/finite/${name}`, { axis: 1 }),
    )
  }
  const numbers = new Random(`${problem.name} ${name}`).uniform(places.length, -1, 1)
  parts.initializers.set(`test/weights/${name}`, tensor(dtype, [1, places.length], numbers))
  parts.nodes.push(
    node('Mul', [`test/${all ? 'row' : 'finite'}/${name}`, `test/weights/${name}`], `test/terms/${name}`),
  )
  return `test/terms/${name}`
}

export function isHalf(dtype: DType | undefined): boolean {
  return dtype === 'float16' || dtype === 'bfloat16'
}

/** The real inputs of a problem: what can be differentiated. */
export function realLeaves({ leaves }: Problem): readonly Leaf[] {
  return leaves.filter(({ tensor: stored }) => isReal(stored.code))
}
