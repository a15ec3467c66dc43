import { UnsupportedModelError } from '../../errors.js'
import type { GraphBuilder } from '../../onnx/builder.js'
import type { Dim, Graph, NamedValue, Shape } from '../../onnx/graph.js'
import type { Settings } from '../rule.js'
import { reasonForUnknownShape } from '../unknown-shape.js'

/** What the loss compares the prediction with. */
export type TargetNeed =
  | {
      readonly kind: 'labels'
      readonly input: NamedValue
      readonly classes: Dim
      /** The label that does not count. */
      readonly ignored: number
      /** How much each class counts, where they differ. */
      readonly weights?: readonly number[]
    }
  /** An array of the input's type and shape. */
  | { readonly kind: 'values'; readonly input: NamedValue }

/**
 * A loss in the graph. The loss of a split is the sum of all numerators over the sum of all denominators (PyTorch's
 * `reduction='mean'`); both hold one element per sample, weighted by `sample_weight` (0 for padding), or denominators
 * is one number where it is the same for every sample. A graph that gives one number for its whole micro-batch has
 * one numerator: that mean times the weights' sum.
 */
export interface LossTerms {
  readonly numerators: string
  readonly denominators: string
  /**
   * The value that the loss is a function of, and the gradient with respect to it: of the numerators' sum, or of the
   * mean, as LossContext.result says.
   */
  readonly seeds: ReadonlyMap<string, string>
  readonly perSample: boolean
  readonly target?: TargetNeed
  readonly notes: readonly string[]
}

export interface LossContext {
  /** The network as its author wrote it, less what has a newer form; `builder` may hold other nodes in its place. */
  readonly graph: Graph
  readonly builder: GraphBuilder
  readonly settings: Settings
  /** The batch axis' size in the graph. */
  readonly batch: Dim
  /** float [batch]: how much each sample counts; undefined where all count alike. */
  readonly weight: string | undefined
  /** What the seeds are the gradient of: the sum of all numerators, or that sum over the sum of all denominators. */
  readonly result: 'sums' | 'mean'
  /** Name for the target's input, free in the graph. */
  readonly targetName: string
  declare(input: NamedValue): void
}

/** The shape of a value that the loss judges. Throws UnsupportedModelError where not even its rank is known. */
export function judgedShape({ builder }: Pick<LossContext, 'builder'>, value: string): Shape {
  const shape = builder.shapeOf(value)
  if (shape === undefined)
    throw new UnsupportedModelError(
      `the shape of '${value}', which the loss judges, is not known: ${reasonForUnknownShape(builder, value)}`,
    )
  return shape
}
