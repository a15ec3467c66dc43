import { UnsupportedModelError, UsageError } from '../../errors.js'
import type { Dim, Shape } from '../../onnx/graph.js'
import { product } from '../../onnx/shapes/dims.js'
import { formatShape } from '../../tensor.js'

/** What the class axis of a prediction is chosen by. */
export interface ClassAxisFacts {
  /** The prediction, for messages. */
  readonly name: string
  readonly shape: Shape
  /** The axis that the user named. */
  readonly given: number | undefined
  /** The axis over which the network itself normalizes its prediction. */
  readonly normalized: number | undefined
  /** How many weights of classes there are. */
  readonly weights: number | undefined
}

export interface ClassAxis {
  readonly axis: number
  /** Said where another axis would have been possible. */
  readonly note?: string
}

/**
 * The axis of a prediction that counts classes. In this order: the one that the user names; the one over which the
 * network's last Softmax or LogSoftmax goes; axis 1 of batch x classes; of axis 1 and the last the only one that has
 * as many entries as there are class weights; the only one of known size above 1 (positions are often open, classes
 * never);
 * else the last of three axes (batch x positions x classes, as transformers have it) and axis 1 of more (batch x
 * classes x height x width, PyTorch's order).
 *
 * @throws UnsupportedModelError for a prediction without an axis for classes
 * @throws UsageError for an axis that the prediction does not have
 */
export function classAxis(facts: ClassAxisFacts): ClassAxis {
  const { name, shape, given, normalized } = facts
  if (shape.length < 2)
    throw new UnsupportedModelError(
      `a loss over classes needs an output of shape batch x classes, and positions if there are any; '${name}' is ${formatShape(shape)}`,
    )
  if (given !== undefined) return { axis: givenAxis(given, facts) }
  if (normalized !== undefined && normalized > 0) return { axis: normalized }
  if (shape.length === 2) return { axis: 1 }
  const last = shape.length - 1
  const axis = likelyAxis(facts, [1, last])
  const other = axis === 1 ? last : 1
  const positions = formatShape(shape.filter((_, i) => i !== axis))
  return {
    axis,
    note:
      `'${name}' is ${formatShape(shape)}: axis ${axis} is taken as the classes, so that labels are ${positions} ` +
      `(--class-axis ${other} for the other)`,
  }
}

function givenAxis(given: number, { name, shape }: ClassAxisFacts): number {
  const axis = given < 0 ? given + shape.length : given
  if (axis >= 1 && axis < shape.length) return axis
  throw new UsageError(
    `--class-axis ${given}: '${name}' is ${formatShape(shape)}; its axes behind the batch are 1 to ${shape.length - 1}`,
  )
}

function likelyAxis({ shape, weights }: ClassAxisFacts, candidates: readonly [number, number]): number {
  const only = (fits: (dim: Dim) => boolean): number | undefined => {
    const fitting = candidates.filter((axis) => fits(shape[axis]!))
    return fitting.length === 1 ? fitting[0] : undefined
  }
  return (
    (weights === undefined ? undefined : only((dim) => dim === weights)) ??
    only((dim) => typeof dim === 'number' && dim !== 1) ??
    (shape.length === 3 ? candidates[1] : candidates[0])
  )
}

/**
 * The axis of a reshaped value that holds what `axis` held before: as many entries, with as many elements in front of
 * it and behind it. Undefined where the reshape cut it up.
 */
export function axisAfterReshape(from: Shape, axis: number, to: Shape): number | undefined {
  const found = to.findIndex(
    (dim, i) =>
      dim === from[axis] &&
      product(to.slice(0, i)) === product(from.slice(0, axis)) &&
      product(to.slice(i + 1)) === product(from.slice(axis + 1)),
  )
  return found < 0 ? undefined : found
}
