import type { Shape } from '../onnx/graph.js'
import type { Node } from '../onnx/graph.js'
import type { GraphBuilder } from '../onnx/builder.js'

/** A reason why a node can't be differentiated although its operator has a rule; the driver names the node. */
export class RuleRefusal extends Error {}

/** What a rule sees of the node that it differentiates. Inputs and outputs are counted from 0. */
export interface VjpContext {
  readonly node: Node
  readonly builder: GraphBuilder
  /** The cotangent of the first output: the gradient of the loss with respect to it, in its shape. */
  readonly g: string
  /** The cotangent of any output, undefined where the loss does not depend on it. */
  cotangent(output: number): string | undefined
  /** Name of an input; '' where it is omitted. */
  x(input: number): string
  /** Name of an output. */
  y(output?: number): string
  /** Whether the cotangent of an input is wanted. */
  needs(input: number): boolean
  /** The shape of an input; a RuleRefusal where its rank is unknown and the rule can't do without. */
  shape(input: number): Shape
}

/**
 * A vector-Jacobian product: from the cotangents of a node's outputs the cotangents of its inputs, each in the shape
 * of its input (or of the broadcast output, for broadcasting operators: the driver sums it back). Undefined where the
 * derivative is zero or not wanted. Throws RuleRefusal for a form that can't be differentiated.
 */
export type Vjp = (context: VjpContext) => readonly (string | undefined)[]

/** The cotangents of one-input operators. */
export function unary(formula: (context: VjpContext) => string): Vjp {
  return (context) => [formula(context)]
}
