import type { AttributeValue } from '../../src/onnx/attributes.js'
import type { Graph, Initializer, NamedValue, Node, Shape } from '../../src/onnx/graph.js'
import { withSubgraphs } from '../../src/onnx/subgraph.js'
import type { DType } from '../../src/tensor.js'
import { elementCount } from '../../src/tensor.js'
import type { GradientCheck } from './check-gradient.js'
import { graphOf, input, node, tensor } from './graphs.js'
import { runOnce } from './ort.js'
import type { Feed } from './ort.js'
import { Random } from './random.js'

/**
 * An input of the operator under test.
 * - parameter: real numbers that are differentiated; `as` declares their shape with symbols
 * - constant: an initializer that is not differentiated
 * - runtime: integers that come as data, so that nothing is known of them when the gradient is built
 */
export type Operand =
  | {
      readonly kind: 'parameter'
      readonly shape: readonly number[]
      readonly as?: Shape
      readonly values: (random: Random) => readonly number[]
    }
  | {
      readonly kind: 'constant'
      /** 'real' is the type that the case is computed in. */
      readonly dtype: DType | 'real'
      readonly shape: readonly number[]
      readonly values: readonly number[]
    }
  | { readonly kind: 'runtime'; readonly values: readonly number[]; readonly shape?: readonly number[] }
  | { readonly kind: 'omitted' }

/** One operator on given inputs, to be differentiated and compared with differences. */
export interface OperatorCase {
  readonly title: string
  readonly op: string
  readonly inputs: readonly Operand[]
  readonly attributes?: Readonly<Record<string, AttributeValue>>
  /** Values that graphs of the operator read beside its inputs. */
  readonly captures?: readonly Operand[]
  /** Graphs that the operator carries, by attribute; `names` are those of its inputs and then of its captures. */
  readonly graphs?: (names: readonly string[]) => Readonly<Record<string, Graph>>
  /** Number of outputs, 1 by default. */
  readonly outputs?: number
  /** Outputs that the loss does not depend on. */
  readonly unused?: readonly number[]
  readonly opset?: number
  /** float32 where ONNX Runtime's CPU provider has no float64 kernel. */
  readonly dtype?: 'float32' | 'float64'
  readonly step?: number
  /** The statistics that batch normalization is differentiated with, by default the recorded ones. */
  readonly batchNorm?: GradientCheck['batchNorm']
}

/** How real numbers are drawn: between `low` and `high`, and not near the kinks `off`. */
export interface Draw {
  readonly low?: number
  readonly high?: number
  readonly off?: readonly number[]
  readonly as?: Shape
}

/** Distance that keeps steps of the differences from crossing a kink. */
const OFF_KINK = 0.1

export function real(shape: readonly number[], { low = -2, high = 2, off = [], as }: Draw = {}): Operand {
  const values = (random: Random): number[] =>
    random.uniform(elementCount(shape), low, high).map((value) => {
      const kink = off.find((place) => Math.abs(value - place) < OFF_KINK)
      return kink === undefined ? value : value + (value < kink ? -OFF_KINK : OFF_KINK)
    })
  return { kind: 'parameter', shape, values, ...(as && { as }) }
}

/** Real numbers of which no two are closer than 1/4, for operators that choose between them. */
export function spaced(shape: readonly number[], as?: Shape): Operand {
  const count = elementCount(shape)
  const values = (random: Random): number[] =>
    random.permutation(count).map((place) => (place - (count - 1) / 2) / 4)
  return { kind: 'parameter', shape, values, ...(as && { as }) }
}

/** Real numbers that are chosen. */
export function given(values: readonly number[], shape: readonly number[], as?: Shape): Operand {
  return { kind: 'parameter', shape, values: () => values, ...(as && { as }) }
}

export function ints(values: readonly number[], shape: readonly number[] = [values.length]): Operand {
  return { kind: 'constant', dtype: 'int64', shape, values }
}

export function constant(values: readonly number[], shape: readonly number[] = []): Operand {
  return { kind: 'constant', dtype: 'real', shape, values }
}

export function bools(values: readonly number[], shape: readonly number[]): Operand {
  return { kind: 'constant', dtype: 'bool', shape, values }
}

/** Of one dimension, or of a shape that is known when the gradient is built. */
export function runtime(values: readonly number[], shape?: readonly number[]): Operand {
  return { kind: 'runtime', values, ...(shape && { shape }) }
}

export const omitted: Operand = { kind: 'omitted' }

/** What becomes of the operands: the parts of the graph that the operator reads. */
interface Parts {
  readonly inputs: NamedValue[]
  readonly initializers: Record<string, Initializer>
  readonly nodes: Node[]
  readonly parameters: Record<string, Feed>
  readonly data: Record<string, Feed>
}

/**
 * The case as a graph whose loss is every element of the operator's outputs times a fixed random number, laid out as
 * one sample. Shapes that are declared with symbols come from an input that has them and is not read otherwise.
 * Behind others, the operator reads what Clip and Add made of its parameters, so that its cotangents are used further.
 */
export async function gradientCheckOf(
  test: OperatorCase,
  place: 'alone' | 'behind others' = 'alone',
): Promise<GradientCheck> {
  const dtype = test.dtype ?? 'float64'
  const random = new Random(`${test.op} ${test.title}`)
  const parts: Parts = {
    inputs: [input('sample', [1], dtype)],
    initializers: {},
    nodes: [],
    parameters: {},
    data: { sample: { dtype, shape: [1], values: [0] } },
  }
  const names = [...test.inputs, ...(test.captures ?? [])].map((operand, i) => {
    const name = addOperand(parts, operand, `x${i}`, dtype, random)
    return place === 'alone' || operand.kind !== 'parameter' ? name : moved(parts, name, dtype)
  })
  const outputs = Array.from({ length: test.outputs ?? 1 }, (_, i) => `y${i}`)
  const plain = node(test.op, names.slice(0, test.inputs.length), outputs, test.attributes)
  parts.nodes.push(withSubgraphs(plain, new Map(Object.entries(test.graphs?.(names) ?? {}))))
  const judged = outputs.filter((_, i) => test.unused?.includes(i) !== true)
  await addLoss(parts, judged, test, random)
  const graph = caseGraph(parts, ['loss'], test)
  const { parameters, data } = parts
  const { step, batchNorm } = test
  return {
    graph,
    parameters,
    data,
    loss: 'loss',
    ...(step !== undefined && { step }),
    ...(batchNorm && { batchNorm }),
  }
}

function caseGraph(parts: Parts, outputs: readonly string[], { opset = 18 }: OperatorCase): Graph {
  return graphOf({ ...parts, outputs, opset, irVersion: opset < 18 ? 6 : 8 })
}

function addOperand(parts: Parts, operand: Operand, name: string, dtype: DType, random: Random): string {
  switch (operand.kind) {
    case 'omitted':
      return ''
    case 'constant': {
      const type = operand.dtype === 'real' ? dtype : operand.dtype
      parts.initializers[name] = tensor(type, operand.shape, operand.values)
      return name
    }
    case 'runtime': {
      const shape = [1, operand.values.length]
      parts.inputs.push(input(`${name}/data`, shape, 'int64'))
      parts.data[`${name}/data`] = { dtype: 'int64', shape, values: operand.values }
      if (operand.shape !== undefined)
        parts.initializers[`${name}/shape`] = tensor('int64', [operand.shape.length], operand.shape)
      const layout = operand.shape === undefined ? flat(parts) : `${name}/shape`
      parts.nodes.push(node('Reshape', [`${name}/data`, layout], name))
      return name
    }
    case 'parameter':
      return addParameter(parts, operand, name, dtype, random)
  }
}

function addParameter(
  parts: Parts,
  { shape, as, values }: Operand & { kind: 'parameter' },
  name: string,
  dtype: DType,
  random: Random,
): string {
  const numbers = values(random)
  if (as === undefined) {
    parts.initializers[name] = tensor(dtype, shape, numbers)
    parts.parameters[name] = { dtype, shape, values: numbers }
    return name
  }
  const [flatName, like, size] = [`${name}/flat`, `${name}/like`, `${name}/size`]
  parts.initializers[flatName] = tensor(dtype, [numbers.length], numbers)
  parts.parameters[flatName] = { dtype, shape: [numbers.length], values: numbers }
  parts.inputs.push(input(like, [1, ...as], dtype))
  parts.data[like] = { dtype, shape: [1, ...shape], values: numbers.map(() => 0) }
  parts.nodes.push(node('Shape', [like], size, { start: 1 }), node('Reshape', [flatName, size], name))
  return name
}

/** The same numbers, by operators whose own derivatives need the type and the shape of what comes back to them. */
function moved({ initializers, parameters, nodes }: Parts, name: string, dtype: DType): string {
  initializers['lowest'] = tensor(dtype, [], [-1000])
  initializers['highest'] = tensor(dtype, [], [1000])
  initializers[`${name}/shift`] = tensor(dtype, [], [0])
  parameters[`${name}/shift`] = { dtype, shape: [], values: [0] }
  nodes.push(
    node('Clip', [name, 'lowest', 'highest'], `${name}/clipped`),
    node('Add', [`${name}/clipped`, `${name}/shift`], `${name}/moved`),
  )
  return `${name}/moved`
}

/** The name of the shape [-1] as a constant of the graph. */
function flat({ initializers }: Parts): string {
  initializers['flat'] = tensor('int64', [1], [-1])
  return 'flat'
}

async function addLoss(
  parts: Parts,
  outputs: readonly string[],
  test: OperatorCase,
  random: Random,
): Promise<void> {
  const dtype = test.dtype ?? 'float64'
  const forward = await runOnce(caseGraph(parts, outputs, test), parts.data)
  const terms = outputs.map((y) => {
    const count = forward[y]!.values.length
    parts.initializers[`${y}/cotangent`] = tensor(dtype, [count], random.uniform(count, -1, 1))
    parts.nodes.push(
      node('Shape', [y], `${y}/shape`),
      node('Reshape', [`${y}/cotangent`, `${y}/shape`], `${y}/weights`),
      node('Mul', [y, `${y}/weights`], `${y}/weighted`),
      node('Reshape', [`${y}/weighted`, 'row'], `${y}/terms`),
    )
    return `${y}/terms`
  })
  parts.initializers['row'] = tensor('int64', [2], [1, -1])
  parts.nodes.push(node('Concat', terms, 'loss', { axis: 1 }))
}
