import type { GraphBuilder } from '../onnx/builder.js'
import type { Graph, Node, Shape } from '../onnx/graph.js'

/** What a graph is built for: choices that change how an operator is computed or differentiated. */
export interface Settings {
  /**
   * The statistics that BatchNormalization divides by: the recorded ones, or those of the micro-batch, which are then
   * differentiated through.
   */
  readonly batchNorm: 'running' | 'batch'
  /** The execution provider whose operators the graph may hold. */
  readonly forms: Forms
}

/**
 * `cpu`: the forms that are quickest on ONNX Runtime's CPU provider. `cuda`: none that its CUDA provider lacks.
 * `webgpu`: none that its WebGPU provider can't run or hands back to the CPU.
 */
export type Forms = 'cpu' | 'cuda' | 'webgpu'

/** A reason why a node can't be differentiated although its operator has a rule; the driver names the node. */
export class RuleRefusal extends Error {}

/** What a rule sees of the node that it differentiates. Inputs and outputs are counted from 0. */
export interface VjpContext {
  readonly node: Node
  /** The graph that the node belongs to, as it was before anything was added to it. */
  readonly graph: Graph
  readonly builder: GraphBuilder
  readonly settings: Settings
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
  /** Whether a value that a subgraph of the node captures changes with the parameters. */
  isActive(value: string): boolean
  /** Adds to the cotangent of a value that a subgraph of the node captures, in its shape. */
  accumulate(value: string, cotangent: string): void
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

/** What a rewriting sees of the node that it replaces. Inputs and outputs are counted from 0. */
export interface RewriteContext {
  readonly node: Node
  readonly builder: GraphBuilder
  readonly settings: Settings
  /** Whether the node reads something that changes with the parameters; else only an `always` rewriting sees it. */
  readonly active: boolean
  /** Name of an input; '' where it is omitted. */
  x(input: number): string
  /** Whether an output has a name: '' and absent ones need not be computed. */
  wants(output: number): boolean
  /** The shape of an input; a RuleRefusal where its rank is unknown and the rewriting can't do without. */
  shape(input: number): Shape
  /** How often the graph's nodes and outputs read a value. */
  readers(value: string): number
  /** Tells the user of a choice that was made, once. */
  note(text: string): void
}

/**
 * A node in terms of others: emits them with the builder and gives the values of the outputs (undefined for one that
 * is not wanted), or undefined for a node that shall stay as it is. Throws RuleRefusal for a form that can't be
 * rewritten.
 */
export type Rewrite = (context: RewriteContext) => readonly (string | undefined)[] | undefined

/** How an operator is differentiated. */
export type Treatment =
  | {
      readonly state: 'rule'
      readonly vjp: Vjp
      readonly broadcasts: boolean
      /** Brings the node into the one form that the rule knows, wherever it stands. */
      readonly canonical?: Rewrite
    }
  /** Constant almost everywhere, or not a number: no cotangent goes further. */
  | { readonly state: 'zero' }
  /**
   * Replaced by other operators before the graph is differentiated: where its result changes with the parameters, or
   * wherever it stands (`always`: its meaning depends on the settings).
   */
  | { readonly state: 'rewritten'; readonly rewrite: Rewrite; readonly always: boolean }
  /** No derivative is to be had, for a reason. */
  | { readonly state: 'refused'; readonly reason: string }

/** The treatments of a family of operators, by name. */
export type Treatments = Readonly<Record<string, Treatment>>

/** Cotangents by a rule, each in the shape of its input. */
export function rule(vjp: Vjp): Treatment {
  return { state: 'rule', vjp, broadcasts: false }
}

/** Cotangents by a rule, in the shape of the broadcast output. */
export function broadcasting(vjp: Vjp): Treatment {
  return { state: 'rule', vjp, broadcasts: true }
}

/** Cotangents by a rule for nodes in one form, into which `canonical` brings all others. */
export function canonicalRule(vjp: Vjp, canonical: Rewrite): Treatment {
  return { state: 'rule', vjp, broadcasts: false, canonical }
}

export function rewritten(rewrite: Rewrite): Treatment {
  return { state: 'rewritten', rewrite, always: false }
}

export function alwaysRewritten(rewrite: Rewrite): Treatment {
  return { state: 'rewritten', rewrite, always: true }
}

export const zero: Treatment = { state: 'zero' }

export function refused(reason: string): Treatment {
  return { state: 'refused', reason }
}

/** A family of rules as treatments. */
export function rules(family: Readonly<Record<string, Vjp>>, as = rule): Treatments {
  return Object.fromEntries(Object.entries(family).map(([op, vjp]) => [op, as(vjp)]))
}
