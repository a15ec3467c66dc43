import { UnsupportedModelError, UsageError } from '../errors.js'
import { intAttribute } from '../onnx/attributes.js'
import type { GraphBuilder } from '../onnx/builder.js'
import type { Dim, Graph, NamedValue, Shape } from '../onnx/graph.js'
import { normalizeAxis, quotient } from '../onnx/shapes/dims.js'
import { elementCount, formatShape } from '../tensor.js'
import { reasonForUnknownShape } from './unknown-shape.js'

/** What the loss is: of the network's output against a target, or a value that the graph already computes. */
export type LossSpec =
  | { readonly kind: 'cross-entropy' }
  | { readonly kind: 'mse' }
  | { readonly kind: 'output'; readonly name: string }

export const LOSS_NAMES = ['cross-entropy', 'mse', 'output:NAME'] as const

/** Reads `cross-entropy`, `mse` or `output:NAME`. Throws UsageError for anything else. */
export function parseLoss(text: string): LossSpec {
  if (text === 'cross-entropy' || text === 'mse') return { kind: text }
  if (text.startsWith('output:') && text.length > 'output:'.length)
    return { kind: 'output', name: text.slice('output:'.length) }
  throw new UsageError(`--loss ${text}: not a loss; use one of ${LOSS_NAMES.join(', ')}`)
}

/** What the loss compares the prediction with. */
export type TargetNeed =
  | { readonly kind: 'labels'; readonly input: NamedValue; readonly classes: Dim }
  | { readonly kind: 'values'; readonly input: NamedValue }

/**
 * A loss in the graph. The loss of a split is the sum of all numerators over the sum of all denominators (PyTorch's
 * `reduction='mean'`); both hold one element per sample, weighted by `sample_weight` (0 for padding). A graph that
 * gives one number for its whole micro-batch has one numerator: that mean times the weights' sum.
 */
export interface LossTerms {
  readonly numerators: string
  readonly denominators: string
  /** The value that the loss is a function of, and the gradient of the numerators' sum with respect to it. */
  readonly seeds: ReadonlyMap<string, string>
  readonly perSample: boolean
  readonly target?: TargetNeed
  readonly notes: readonly string[]
}

export interface LossContext {
  readonly graph: Graph
  readonly builder: GraphBuilder
  /** The batch axis' size in the graph. */
  readonly batch: Dim
  /** float [batch]: how much each sample counts. */
  readonly weight: string
  /** Name for the target's input, free in the graph. */
  readonly targetName: string
  declare(input: NamedValue): void
}

/** Appends a loss to the graph. Throws UsageError or UnsupportedModelError where the network's outputs don't fit it. */
export function appendLoss(spec: LossSpec, context: LossContext): LossTerms {
  switch (spec.kind) {
    case 'cross-entropy':
      return crossEntropy(context)
    case 'mse':
      return meanSquaredError(context)
    case 'output':
      return computedLoss(context, spec.name)
  }
}

/** The network's outputs of real numbers; a loss of its output judges the first. */
export function realOutputs(graph: Graph, builder: GraphBuilder): NamedValue[] {
  return graph.outputs.filter(({ name }) => ['float32', 'float64'].includes(builder.dtype(name)))
}

function prediction({ graph, builder }: LossContext): { value: string; notes: string[] } {
  const [first, ...others] = realOutputs(graph, builder)
  if (first === undefined)
    throw new UnsupportedModelError(
      `the network has no output of type float32 or float64 (outputs: ${graph.outputs.map(({ name }) => name).join(', ')})`,
    )
  const notes =
    others.length === 0
      ? []
      : [
          `the loss is taken of the first output '${first.name}'; not used: ${others.map(({ name }) => name).join(', ')}`,
        ]
  return { value: first.name, notes }
}

/** Per-sample cross-entropy of integer labels: -log softmax(z)[label] (PyTorch's cross_entropy). */
function crossEntropy(context: LossContext): LossTerms {
  const { builder, batch, weight, targetName } = context
  const { value, notes } = prediction(context)
  const logits = beforeSoftmax(context, value)
  if (logits !== value)
    notes.push(`'${value}' holds probabilities: cross-entropy is taken of '${logits}' before Softmax`)
  const shape = knownShape(context, logits)
  if (shape.length !== 2)
    throw new UnsupportedModelError(
      `cross-entropy needs an output of shape batch x classes; '${logits}' is ${formatShape(shape)}`,
    )
  assertBatchAxis(logits, shape, batch)
  const input: NamedValue = { name: targetName, dtype: 'int64', shape: [batch] }
  context.declare(input)
  const column = (vector: string): string => builder.add('Unsqueeze', [vector, builder.integers([1])])
  const index = column(targetName)
  const logProbability = builder.add('LogSoftmax', [logits], { axis: -1 })
  const picked = builder.add('GatherElements', [logProbability, index], { axis: 1 })
  const loss = builder.add('Neg', [builder.add('Squeeze', [picked, builder.integers([1])])])
  // d/dz = softmax(z) - onehot(label), times the sample's weight
  const weights = column(weight)
  const probability = builder.mul(builder.add('Exp', [logProbability]), weights)
  const seed = builder.add('ScatterElements', [probability, index, builder.add('Neg', [weights])], {
    axis: 1,
    reduction: 'add',
  })
  return {
    numerators: builder.mul(loss, weight),
    denominators: weight,
    seeds: new Map([[logits, seed]]),
    perSample: true,
    target: { kind: 'labels', input, classes: shape[1]! },
    notes,
  }
}

/** The numbers before a Softmax over classes, where the network ends in one. */
function beforeSoftmax({ graph, builder }: LossContext, value: string): string {
  const producer = graph.nodes.find((node) => node.outputs.includes(value))
  const rank = builder.rank(value)
  if (producer?.op !== 'Softmax' || producer.domain !== '' || rank === undefined) return value
  return normalizeAxis(intAttribute(producer, 'axis', -1), rank) === rank - 1 ? producer.inputs[0]! : value
}

/** Squared error, averaged over all elements of all samples (PyTorch's mse_loss). */
function meanSquaredError(context: LossContext): LossTerms {
  const { builder, batch, weight, targetName } = context
  const { value, notes } = prediction(context)
  const { dtype } = builder.info(value)
  const shape = knownShape(context, value)
  if (shape.length === 0)
    throw new UnsupportedModelError(`mse needs an output with a batch axis; '${value}' is scalar`)
  assertBatchAxis(value, shape, batch)
  const input: NamedValue = { name: targetName, dtype, shape }
  context.declare(input)
  const difference = builder.add('Sub', [value, targetName])
  const weighted = builder.mul(difference, alongside(builder, weight, shape.length))
  const squares = builder.mul(difference, weighted)
  return {
    numerators: summedPerSample(builder, squares, shape.length),
    denominators: builder.mul(weight, elementsPerSample(builder, value, shape)),
    // d/dz (z - t)^2 = 2 (z - t)
    seeds: new Map([[value, builder.scale(weighted, 2)]]),
    perSample: true,
    target: { kind: 'values', input },
    notes,
  }
}

/** A loss that the graph computes: averaged over the elements of a sample, or one mean for the micro-batch. */
function computedLoss(context: LossContext, name: string): LossTerms {
  const { graph, builder, batch, weight } = context
  const known =
    graph.outputs.some((output) => output.name === name) || graph.nodes.some((n) => n.outputs.includes(name))
  if (!known)
    throw new UsageError(
      `--loss output:${name}: the graph computes no '${name}'; its outputs are ${graph.outputs.map((o) => o.name).join(', ')}`,
    )
  const shape = knownShape(context, name)
  const scalar = shape.length === 0 || (shape.every((dim) => dim === 1) && batch !== 1)
  if (scalar) return microBatchMean(builder, name, weight)
  assertBatchAxis(name, shape, batch)
  return perSampleLoss(builder, name, shape, weight)
}

function perSampleLoss(
  builder: GraphBuilder,
  name: string,
  shape: readonly Dim[],
  weight: string,
): LossTerms {
  const weights = alongside(builder, weight, shape.length)
  return {
    numerators: summedPerSample(builder, builder.mul(name, weights), shape.length),
    denominators: builder.mul(weight, elementsPerSample(builder, name, shape)),
    seeds: new Map([[name, builder.expandLike(weights, name)]]),
    perSample: true,
    notes: [],
  }
}

function microBatchMean(builder: GraphBuilder, name: string, weight: string): LossTerms {
  const samples = builder.sum(weight, [0], true)
  return {
    numerators: builder.mul(builder.reshape(name, [1]), samples),
    denominators: samples,
    seeds: new Map([[name, builder.reshapeLike(samples, name)]]),
    perSample: false,
    notes: [
      `'${name}' is one number for each micro-batch: it counts as the mean over the micro-batch's samples`,
    ],
  }
}

function knownShape({ builder }: LossContext, value: string): Shape {
  const shape = builder.shapeOf(value)
  if (shape === undefined)
    throw new UnsupportedModelError(
      `the shape of '${value}', which the loss judges, is not known: ${reasonForUnknownShape(builder, value)}`,
    )
  return shape
}

/** Refuses a value whose first axis can't be the batch: of another known size, or a multiple of the batch's symbol. */
function assertBatchAxis(name: string, shape: Shape, batch: Dim): void {
  const [first = 1] = shape
  const times = typeof first === 'string' && typeof batch === 'string' ? quotient(first, batch) : undefined
  const other = typeof first === 'number' ? first !== batch : times !== undefined && times !== 1
  if (other)
    throw new UnsupportedModelError(
      `the loss needs one row for each sample, but '${name}' is ${formatShape(shape)} where the batch is ${batch}: ` +
        `keep the batch as the first axis of the network's output`,
    )
}

/** Weights [batch] with axes of size 1 behind, to multiply a value of the given rank. */
function alongside(builder: GraphBuilder, weight: string, rank: number): string {
  if (rank === 1) return weight
  return builder.add('Unsqueeze', [
    weight,
    builder.integers(Array.from({ length: rank - 1 }, (_, i) => i + 1)),
  ])
}

function summedPerSample(builder: GraphBuilder, value: string, rank: number): string {
  return builder.sum(
    value,
    Array.from({ length: rank - 1 }, (_, i) => i + 1),
    false,
  )
}

/** The number of elements of one sample, as a real number of no dimension. */
function elementsPerSample(builder: GraphBuilder, value: string, shape: readonly Dim[]): string {
  const dtype = builder.dtype(value)
  const rest = shape.slice(1)
  if (rest.every((dim) => typeof dim === 'number')) return builder.scalar(elementCount(rest), dtype)
  const sizes = builder.sizes(
    value,
    rest.map((_, i) => i + 1),
  )
  return builder.cast(builder.add('ReduceProd', [sizes], { keepdims: 0 }), dtype)
}
