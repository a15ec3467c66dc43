import { UsageError } from '../../errors.js'
import type { Graph } from '../../onnx/graph.js'

/** How a loss over classes reads its prediction and its labels. */
export interface ClassChoices {
  /** The axis of the prediction that counts classes, from 1 (0 is the batch), or from the end; see `classAxis`. */
  readonly classAxis?: number
  /** Positions with this label don't count; -100 where it is not given (PyTorch's `ignore_index`). */
  readonly ignoreIndex?: number
  /** How much each class counts (PyTorch's `weight`); the mean divides by the weights of the labels. */
  readonly classWeights?: readonly number[]
}

/** What the loss is: of the network's output against a target, a value that the graph computes, or a graph of its own. */
export type LossSpec =
  | ({
      readonly kind: 'cross-entropy'
      /** The share of every target that is spread evenly over all classes, 0 to 1. */
      readonly labelSmoothing?: number
      /** Targets are probabilities in the prediction's shape instead of labels. */
      readonly softLabels?: boolean
    } & ClassChoices)
  | ({ readonly kind: 'nll' } & ClassChoices)
  | {
      readonly kind: 'bce-with-logits'
      /** Weight of the positive term: one for all, or one for each class along the class axis. */
      readonly positiveWeights?: readonly number[]
      readonly classAxis?: number
    }
  | { readonly kind: 'mse' }
  | { readonly kind: 'output'; readonly name: string }
  /** Inputs of the graph are the network's outputs and inputs by name, or its only output; see `attachLoss`. */
  | { readonly kind: 'graph'; readonly graph: Graph; readonly path: string }

/** Losses of the network's output by name. */
const OF_OUTPUT = ['cross-entropy', 'nll', 'bce-with-logits', 'mse'] as const
export const LOSS_NAMES = [...OF_OUTPUT, 'output:NAME', 'FILE.onnx'] as const

/** PyTorch's default. */
export const IGNORE_INDEX = -100

/** What can be said of a loss beside its name. */
export interface LossChoices extends ClassChoices {
  readonly labelSmoothing?: number
  readonly softLabels?: boolean
  readonly positiveWeights?: readonly number[]
}

/** The option that makes each choice, and the losses that have it. */
const CHOICES: Readonly<Record<keyof LossChoices, readonly [option: string, losses: readonly string[]]>> = {
  classAxis: ['--class-axis', ['cross-entropy', 'nll', 'bce-with-logits']],
  ignoreIndex: ['--ignore-index', ['cross-entropy', 'nll']],
  classWeights: ['--class-weights', ['cross-entropy', 'nll']],
  labelSmoothing: ['--label-smoothing', ['cross-entropy']],
  softLabels: ['--soft-labels', ['cross-entropy']],
  positiveWeights: ['--pos-weight', ['bce-with-logits']],
}

/**
 * Reads the name of a loss, with its choices. A loss that is an ONNX file has no name: give `{ kind: 'graph' }`.
 * Throws UsageError for anything else, and for choices that the loss does not have.
 */
export function parseLoss(text: string, choices: LossChoices = {}): LossSpec {
  checkChoices(text, choices)
  const name = OF_OUTPUT.find((one) => one === text)
  if (name !== undefined) return { kind: name, ...choices }
  if (text.startsWith('output:') && text.length > 'output:'.length)
    return { kind: 'output', name: text.slice('output:'.length) }
  throw new UsageError(`--loss ${text}: not a loss; use one of ${LOSS_NAMES.join(', ')}`)
}

/** Throws UsageError for a choice that the loss does not have, or a value that it can't take. */
export function checkChoices(loss: string, choices: LossChoices): void {
  for (const [key, [option, losses]] of Object.entries(CHOICES)) {
    if (choices[key as keyof LossChoices] === undefined || losses.includes(loss)) continue
    throw new UsageError(`${option} belongs to ${losses.join(', ')}; --loss ${loss} does not have it`)
  }
  const { softLabels, ignoreIndex, labelSmoothing } = choices
  if (softLabels === true && ignoreIndex !== undefined)
    throw new UsageError('--ignore-index is a label, and with --soft-labels there are none; leave one out')
  if (loss === 'bce-with-logits' && choices.classAxis !== undefined && choices.positiveWeights === undefined)
    throw new UsageError(
      '--class-axis: bce-with-logits takes every element by itself; it is for --pos-weight alone',
    )
  if (labelSmoothing !== undefined && !(labelSmoothing >= 0 && labelSmoothing <= 1))
    throw new UsageError(`--label-smoothing ${labelSmoothing}: a number from 0 to 1 is needed`)
  checkWholeNumber('--ignore-index', ignoreIndex)
  checkWholeNumber('--class-axis', choices.classAxis)
  if (choices.classAxis === 0) throw new UsageError('--class-axis 0: axis 0 is the batch')
  checkWeights('--class-weights', choices.classWeights)
  checkWeights('--pos-weight', choices.positiveWeights)
}

function checkWholeNumber(option: string, value: number | undefined): void {
  if (value !== undefined && !Number.isSafeInteger(value))
    throw new UsageError(`${option} ${value}: a whole number is needed`)
}

function checkWeights(option: string, weights: readonly number[] | undefined): void {
  if (weights === undefined) return
  const bad = weights.find((weight) => !(weight >= 0 && Number.isFinite(weight)))
  if (bad !== undefined) throw new UsageError(`${option}: ${bad} is no weight; numbers from 0 on are needed`)
  if (weights.every((weight) => weight === 0))
    throw new UsageError(`${option}: all weights are 0, so that nothing counts`)
}

/** The loss as `--loss` names it. */
export function lossName(loss: LossSpec): string {
  if (loss.kind === 'graph') return loss.path
  return loss.kind === 'output' ? `output:${loss.name}` : loss.kind
}

/** The choices of a loss that were made, for records. */
export function lossChoices(loss: LossSpec): LossChoices {
  const made = Object.entries(loss).filter(([key]) => key in CHOICES)
  return Object.fromEntries(made)
}
