import { readFileSync } from 'node:fs'
import { opsetOf } from '../../src/onnx/graph.js'
import type { Graph, Node } from '../../src/onnx/graph.js'
import { Inference } from '../../src/onnx/infer.js'
import { subgraphNames } from '../../src/onnx/subgraph.js'
import type { DType } from '../../src/tensor.js'

const LETTERS: Readonly<Record<DType, string>> = {
  bool: 'o',
  float64: 'd',
  float32: 'f',
  float16: 'h',
  bfloat16: 'w',
  int8: 'b',
  int16: 's',
  int32: 'i',
  int64: 'l',
  uint8: 'B',
  uint16: 'S',
  uint32: 'I',
  uint64: 'L',
}

interface Kernel {
  readonly first: number
  readonly last: number
  readonly types: string
  readonly inputs: ReadonlyMap<number, string>
}

export type Kernels = ReadonlyMap<string, readonly Kernel[]>

/** Reads a table of the operators that a provider computes (fixtures/kernels). */
export function readKernels(provider: string): Kernels {
  const lines = readFileSync(`fixtures/kernels/${provider}.txt`, 'utf8').split('\n')
  const kernels = new Map<string, Kernel[]>()
  for (const line of lines) {
    if (line === '' || line.startsWith('#')) continue
    const [op, opsets, types, ...inputs] = line.split(' ') as [string, string, string, ...string[]]
    const [first, last] = opsets.split('-') as [string, string]
    const kernel = {
      first: Number(first),
      last: last === '' ? Infinity : Number(last),
      types: expanded(types),
      inputs: new Map(inputs.map((one) => one.split('=')).map(([i, own]) => [Number(i), expanded(own!)])),
    }
    kernels.set(op, [...(kernels.get(op) ?? []), kernel])
  }
  return kernels
}

function expanded(types: string): string {
  return types === '*' ? Object.values(LETTERS).join('') : types
}

/**
 * The nodes of a graph, and of those that its nodes carry, that a provider has no kernel for. Nodes that work out shapes
 * are left out: ONNX Runtime keeps them on the CPU whatever the provider has.
 */
export function withoutKernel(graph: Graph, kernels: Kernels, outer?: Inference): string[] {
  const known = new Inference(graph, outer)
  const shapes = shapeValues(graph)
  return graph.nodes.flatMap((node) => {
    const inner = subgraphNames(node).flatMap((name) => withoutKernel(known.body(node, name), kernels, known))
    const missing = node.outputs.some((name) => shapes.has(name))
      ? undefined
      : lacking(node, known, opsetOf(graph), kernels)
    return missing === undefined ? inner : [...inner, missing]
  })
}

const OPERATORS = (
  JSON.parse(readFileSync('fixtures/onnx/operators.json', 'utf8')) as {
    readonly operators: Readonly<Record<string, { readonly versions: readonly number[] } | undefined>>
  }
).operators

/** The version of an operator that an opset has. */
function versionIn(opset: number, op: string): number {
  return Math.max(...(OPERATORS[op]?.versions ?? []).filter((version) => version <= opset))
}

function lacking(node: Node, known: Inference, opset: number, kernels: Kernels): string | undefined {
  const version = versionIn(opset, node.op)
  const fitting = (kernels.get(node.op) ?? []).filter(({ first, last }) =>
    last === Infinity ? version === first : first <= version && version <= last,
  )
  const types = node.inputs.map((name) => known.info(name).dtype)
  const takes = ({ types: all, inputs }: Kernel): boolean =>
    types.every((dtype, i) => dtype === undefined || (inputs.get(i) ?? all).includes(LETTERS[dtype]))
  return node.domain === '' && fitting.some(takes) ? undefined : `${node.op}(${types.join(', ')})`
}

/** Inputs that say a shape, an axis or a place to cut at; kernels of every provider read them on the CPU. */
const SHAPE_INPUTS: Readonly<Record<string, readonly number[]>> = {
  Reshape: [1],
  Expand: [1],
  Slice: [1, 2, 3, 4],
  Pad: [1, 3],
  Squeeze: [1],
  Unsqueeze: [1],
  Tile: [1],
  Split: [1],
  Resize: [1, 2, 3],
  Range: [0, 1, 2],
  ConstantOfShape: [0],
  Trilu: [1],
  OneHot: [1],
  TopK: [1],
}

/** Integers that come from shapes: what Shape gives and what is computed from it alone, and what is read as a shape. */
function shapeValues(graph: Graph): Set<string> {
  const known = new Inference(graph)
  const values = new Set<string>()
  const isInteger = (name: string): boolean =>
    ['int64', 'int32', 'bool'].includes(known.info(name).dtype ?? '')
  for (const node of graph.nodes) {
    const given = node.inputs.filter((name) => name !== '' && !graph.initializers.has(name))
    const follows =
      node.op === 'Shape' ||
      node.op === 'Size' ||
      (given.length > 0 && given.every((name) => values.has(name)))
    if (follows && node.outputs.every(isInteger)) for (const name of node.outputs) values.add(name)
  }
  for (const node of graph.nodes.toReversed()) {
    const read = node.outputs.some((name) => values.has(name))
      ? node.inputs
      : (SHAPE_INPUTS[node.op] ?? []).map((i) => node.inputs[i] ?? '')
    for (const name of read) if (name !== '' && isInteger(name)) values.add(name)
  }
  return values
}
