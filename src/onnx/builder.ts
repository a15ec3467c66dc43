import type { DType } from '../tensor.js'
import { onnxCode } from './dtypes.js'
import { prune, renamedValues } from './finish.js'
import type { Graph, NamedValue, Node, Shape } from './graph.js'
import { NodeBuilder, PREFIX } from './node-builder.js'
import { plainNode } from './plain-node.js'
import { sameShape, staticShape } from './shapes/dims.js'

/**
 * Adds to a graph what is said often, in as few nodes as possible, and gives the graph back. What is known beforehand
 * is not computed: shapes of static size become constants, reshapes and sums that change nothing disappear.
 */
export class GraphBuilder extends NodeBuilder {
  /** A value's shape as a one-dimensional int64 value: a constant where it is static. */
  shape(value: string): string {
    const sizes = staticShape(this.shapeOf(value))
    return sizes === undefined ? this.add('Shape', [value]) : this.integers(sizes)
  }

  /** The sizes along some axes as a one-dimensional int64 value, in their order. */
  sizes(value: string, axes: readonly number[]): string {
    const shape = this.shapeOf(value)
    const sizes = staticShape(shape && axes.map((axis) => shape[axis]!))
    return sizes === undefined
      ? this.add('Gather', [this.shape(value), this.integers(axes)])
      : this.integers(sizes)
  }

  /** A value with another's shape; both hold equally many elements. */
  reshapeLike(value: string, like: string): string {
    return sameShape(this.shapeOf(value), this.shapeOf(like))
      ? value
      : this.reshapeTo(value, this.targetShape(like))
  }

  reshapeTo(value: string, shape: string): string {
    return this.add('Reshape', [this.beforeReshapes(value), shape], { allowzero: 1 })
  }

  /** A value reshaped to sizes of which one at most is -1 (what is left). */
  reshape(value: string, sizes: readonly number[]): string {
    const source = [value, this.beforeReshapes(value)].find((one) => hasSizes(this.shapeOf(one), sizes))
    return source ?? this.reshapeTo(value, this.integers(sizes))
  }

  /** The value whose elements a chain of reshapes lays out: one reshape more makes the others superfluous. */
  beforeReshapes(value: string): string {
    const node = this.producer(value)
    return node?.domain === '' && RESHAPES.has(node.op) ? this.beforeReshapes(node.inputs[0]!) : value
  }

  /** A shape for Reshape: with one symbol and no zero, -1 says it without a Shape node. */
  private targetShape(like: string): string {
    const shape = this.shapeOf(like)
    const symbols = shape?.filter((dim) => typeof dim === 'string').length
    if (shape === undefined || symbols !== 1 || shape.includes(0)) return this.shape(like)
    return this.integers(shape.map((dim) => (typeof dim === 'number' ? dim : -1)))
  }

  /** Sum over axes (all counted from 0); over no axes it is the value itself. */
  sum(value: string, axes: readonly number[], keepDims: boolean): string {
    if (axes.length === 0) return value
    return this.add('ReduceSum', [value, this.integers(axes)], { keepdims: keepDims ? 1 : 0 })
  }

  /** A value repeated along axes of size 1 to the shape of another. */
  expandLike(value: string, like: string): string {
    return sameShape(this.shapeOf(value), this.shapeOf(like))
      ? value
      : this.add('Expand', [value, this.shape(like)])
  }

  /** Zeros of the shape of another value, in its type. */
  zerosLike(value: string): string {
    return this.add('Expand', [this.scalar(0, this.dtype(value)), this.shape(value)])
  }

  cast(value: string, dtype: DType): string {
    return this.info(value).dtype === dtype ? value : this.add('Cast', [value], { to: onnxCode(dtype) })
  }

  /** A value with its axes in another order; of a transposed value it is one Transpose, or none. */
  transpose(value: string, order: readonly number[]): string {
    if (order.every((axis, i) => axis === i)) return value
    const { op, domain, inputs, attributes } = this.producer(value) ?? {}
    const before = op === 'Transpose' && domain === '' ? attributes?.get('perm')?.ints.map(Number) : undefined
    if (before === undefined) return this.add('Transpose', [value], { perm: order })
    return this.transpose(
      inputs![0]!,
      order.map((axis) => before[axis]!),
    )
  }

  mul(a: string, b: string): string {
    return this.add('Mul', [a, b])
  }

  /** The product with a number; with 1 it is the value itself. */
  scale(value: string, factor: number): string {
    return factor === 1 ? value : this.mul(value, this.scalar(factor, this.dtype(value)))
  }

  /**
   * The graph as built so far, less the nodes, constants and inputs that no output needs. `outputs` maps the names
   * that the outputs shall have to the values that they are.
   */
  finish(inputs: readonly NamedValue[], outputs: ReadonlyMap<string, string>): Graph {
    const renamed = this.nameOutputs(outputs)
    const needed = new Set(outputs.keys())
    const nodes = prune(renamed, needed)
    return {
      ...this.graph,
      inputs: inputs.filter(({ name }) => needed.has(name)),
      outputs: [...outputs].map(([name, value]) => ({ name, ...this.info(value) })),
      initializers: new Map([...this.initializers].filter(([name]) => needed.has(name))),
      nodes,
    }
  }

  /**
   * The graph as the body of a node: all inputs stay, in their order, and the outputs are the given values, each
   * copied where it is not computed in this graph or stands there twice. What is an input is not computed.
   */
  finishBody(inputs: readonly NamedValue[], outputs: readonly string[]): Graph {
    const given = new Set(inputs.map(({ name }) => name))
    const seen = new Set(given)
    const names = outputs.map((value) => {
      if (this.producers.has(value) && !seen.has(value)) {
        seen.add(value)
        return value
      }
      const copy = this.name('Identity')
      this.push(plainNode('Identity', [value], copy))
      return copy
    })
    const needed = new Set(names)
    const nodes = prune(this.nodes, needed, given)
    return {
      ...this.graph,
      inputs,
      outputs: names.map((name) => ({ name, ...this.info(name) })),
      initializers: new Map([...this.initializers].filter(([name]) => needed.has(name))),
      nodes,
    }
  }

  /**
   * The nodes of this graph, with some values renamed: one that is computed here gets its name, another is copied.
   * A value that is asked for under two names is copied too.
   */
  named(values: readonly (readonly [name: string, value: string])[]): Node[] {
    return renamedValues(this.nodes, (value) => this.producers.has(value), values)
  }

  /** Renames the computed values that become outputs; the network's own, which others may read, are copied. */
  private nameOutputs(outputs: ReadonlyMap<string, string>): Node[] {
    const own = [...outputs].filter(([name, value]) => name !== value && value.startsWith(PREFIX))
    const copied = [...outputs].filter(([name, value]) => name !== value && !value.startsWith(PREFIX))
    return [...this.named(own), ...copied.map(([name, value]) => plainNode('Identity', [value], name))]
  }
}

/** Operators that lay the elements of a tensor out anew in their order. */
const RESHAPES = new Set(['Reshape', 'Flatten', 'Squeeze', 'Unsqueeze'])

/** Whether a value of a shape is laid out by the sizes already; -1 stands for one size, whatever it is. */
function hasSizes(shape: Shape | undefined, sizes: readonly number[]): boolean {
  return (
    shape?.length === sizes.length && shape.every((dim, axis) => sizes[axis] === -1 || dim === sizes[axis])
  )
}
