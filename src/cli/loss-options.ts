import type { Options } from 'yargs'
import { LOSS_NAMES, checkChoices, parseLoss } from '../autodiff/losses.js'
import type { LossChoices, LossSpec } from '../autodiff/losses.js'
import { readModel } from '../onnx/read.js'
import { readNumbers } from './number-list.js'

/** The options that say what the loss is, of every command that takes one. */
export const LOSS_OPTIONS = {
  loss: { type: 'string', demandOption: true, describe: `The loss: ${LOSS_NAMES.join(', ')}` },
  'class-axis': {
    type: 'number',
    describe:
      "Axis of the output that counts classes [the output's only fixed one; the last of 3; 1 of more]",
  },
  'ignore-index': { type: 'number', describe: 'Label of positions that do not count [-100]' },
  'label-smoothing': { type: 'number', describe: 'Share of a label that is spread over all classes, 0 to 1' },
  'class-weights': {
    type: 'string',
    describe: 'How much each class counts: 1,2,0.5 or a file (.npy, .json, text)',
  },
  'soft-labels': {
    type: 'boolean',
    default: false,
    describe: "Targets are probabilities of classes, in the output's shape",
  },
  'pos-weight': {
    type: 'string',
    describe: 'bce-with-logits: weight of the positive term, a number, a list or a file',
  },
} as const satisfies Record<string, Options>

/** Their values, as yargs gives them. */
export interface LossArguments {
  readonly loss: string
  readonly classAxis?: number | undefined
  readonly ignoreIndex?: number | undefined
  readonly labelSmoothing?: number | undefined
  readonly classWeights?: string | undefined
  readonly softLabels: boolean
  readonly posWeight?: string | undefined
}

/** The loss that the options name. Throws UsageError where they don't fit together, and what reading a file throws. */
export async function readLoss(argv: LossArguments): Promise<LossSpec> {
  const { loss, classAxis, ignoreIndex, labelSmoothing, softLabels } = argv
  const classWeights = await readNumbers('--class-weights', argv.classWeights)
  const positiveWeights = await readNumbers('--pos-weight', argv.posWeight)
  const choices: LossChoices = {
    ...(classAxis !== undefined && { classAxis }),
    ...(ignoreIndex !== undefined && { ignoreIndex }),
    ...(labelSmoothing !== undefined && { labelSmoothing }),
    ...(classWeights && { classWeights }),
    ...(softLabels && { softLabels }),
    ...(positiveWeights && { positiveWeights }),
  }
  if (!loss.endsWith('.onnx') || loss.startsWith('output:')) return parseLoss(loss, choices)
  checkChoices(loss, choices)
  return { kind: 'graph', graph: await readModel(loss), path: loss }
}
