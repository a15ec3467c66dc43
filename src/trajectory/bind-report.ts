import { listNames } from '../listing.js'
import { formatShape } from '../tensor.js'
import { isInvented } from './invented.js'
import { isStatistic, type Fold } from './fold.js'

/** A tensor of either side. */
export interface NamedShape {
  readonly name: string
  readonly shape: readonly number[]
}

/** A weight of the network and a tensor of the checkpoint. */
export interface NamedPair {
  readonly parameter: NamedShape
  readonly tensor: NamedShape
}

/** What does not fit between a network and a checkpoint, under the renaming that fits best. */
export interface Mismatch {
  /** How many tensors did find their place. */
  readonly bound: number
  /** Float initializers of the network without a tensor. */
  readonly missing: readonly NamedShape[]
  /** Float tensors of the checkpoint without a place. */
  readonly leftOver: readonly NamedShape[]
  readonly shapes: readonly NamedPair[]
  /** Pairs between which neither numbers nor names decide. */
  readonly ambiguous: readonly NamedPair[]
  /** Pairs of equal numbers in another order than transpositions make. */
  readonly reordered: readonly NamedPair[]
  /** A batch normalization that the model's numbers show to be folded. */
  readonly fold: Fold | undefined
  /** A weight of the network that is one number throughout, as several tensors may have been where it was exported. */
  readonly merged: string | undefined
  /** Tensors left over that were all zero where the model was exported. */
  readonly zeros: readonly string[]
  /** The checkpoint that the model was exported from, such as `step 30`. */
  readonly origin?: string
}

/** How to export a network so that its weights keep their names and its batch axis stays open. */
export const EXPORT_LINE =
  'torch.onnx.export(model.eval(), (x,), "model.onnx", dynamo=True, optimize=False, ' +
  'dynamic_shapes=({0: torch.export.Dim("batch")},))'

const KEEP_NAMES = `the network must keep the names and shapes of the state_dict: ${EXPORT_LINE}`

/** What to do where a module was exported of which the forward pass uses a part. */
const REMEDY_FOR_UNUSED =
  'export the submodule that is used by itself (model.generator, say), and the tensors beside it are left out; or save the ' +
  'checkpoints without these'

/** What to do where TensorFlow has folded a normalization before tf2onnx sees it. */
const REMEDY_FOR_KERAS =
  'Keras on TensorFlow folds BatchNormalization whenever it exports: write the network in PyTorch under the names of the ' +
  `layers (kernels are transposed for you) and export it with ${EXPORT_LINE}`

/** What to do where tf2onnx has folded it (tf-keras). */
const REMEDY_FOR_TF2ONNX =
  'run `del tf2onnx.optimizer._optimizers["remove_back_to_back"]` before tf2onnx.convert, so that it does not fold'

/** The message of a binding that failed: what is missing, left over and misshapen, the likely reason, the remedy. */
export function describeMismatch(
  mismatch: Mismatch,
  where: { readonly model: string; readonly checkpoint: string },
): string {
  const { missing, leftOver, shapes } = mismatch
  return [
    `${where.checkpoint} does not fit ${where.model}: ${reason(mismatch)}`,
    ...list('in the network without a tensor', missing.map(withShape)),
    ...list('in the checkpoint without a place', leftOver.map(withShape)),
    ...list(
      'in two shapes',
      shapes.map(
        ({ parameter, tensor }) =>
          `${parameter.name}: network ${formatShape(parameter.shape)}, checkpoint ${formatShape(tensor.shape)}`,
      ),
    ),
    ...list('either could be the other', mismatch.ambiguous.map(withBoth)),
    `  ${remedy(mismatch)}`,
    ...(isFolded(mismatch) || isOtherSize(mismatch) || isUnused(mismatch)
      ? []
      : [
          '  or name the tensors in a file for --map: {"NAME IN THE NETWORK": "NAME IN THE CHECKPOINTS", ...}',
        ]),
  ].join('\n')
}

function reason(mismatch: Mismatch): string {
  const { missing, leftOver, ambiguous, reordered, zeros, merged, origin } = mismatch
  const reasons = [
    ...(isFolded(mismatch) ? [foldReason(mismatch)] : []),
    ...(isTransposed(mismatch) ? ['the exporter transposed the weights of Linear layers'] : []),
    ...(reordered.length > 0 ? [reorderedReason(reordered)] : []),
    ...(zeros.length > 0 && !isFolded(mismatch)
      ? [
          `all zero at ${origin!}, from which the model was exported: ${listNames(zeros)} (exporters drop a bias of zeros)`,
        ]
      : []),
    ...(merged !== undefined
      ? [`the exporter keeps equal arrays once: ${merged} is one number throughout and may stand for others`]
      : []),
    ...(ambiguous.length > 0
      ? ['several weights could be each other: their numbers are the same, or tell nothing']
      : []),
  ]
  if (reasons.length > 0) return reasons.join(', and ')
  if (isOtherSize(mismatch)) return 'shapes differ: another size of the network?'
  if (isUnused(mismatch))
    return 'the network lacks what its forward pass does not use, since exporters drop it'
  if ([...missing, ...leftOver].some(({ name }) => RECURRENT.test(name)))
    return 'recurrent kernels keep their gates in an order of each framework, which is not translated'
  return mismatch.bound > 0
    ? `${mismatch.bound} tensors fit, and the others were renamed, cut or merged by the exporter, or these are different networks`
    : 'the two name their tensors differently, or are different networks'
}

/** Whether all of the network has its place, and what is left over has no trace in it. */
function isUnused({ missing, shapes, zeros, merged, ambiguous, reordered }: Mismatch): boolean {
  const open = [missing, shapes, zeros, ambiguous, reordered]
  return merged === undefined && open.every(({ length }) => length === 0)
}

function isOtherSize({ shapes, leftOver }: Mismatch): boolean {
  return shapes.length > 0 && leftOver.length === 0
}

/** Names of recurrent kernels in Keras, Flax and ONNX. */
const RECURRENT = /recurrent_kernel|(?:lstm|gru|rnn)_cell|LSTM|GRU/

/** BatchNorm's running statistics have no place in a network whose BatchNorm is folded away, where other tensors have. */
function isFolded({ bound, leftOver, fold }: Mismatch): boolean {
  return fold !== undefined || (bound > 0 && leftOver.some(({ name }) => isStatistic(name)))
}

function foldReason({ fold }: Mismatch): string {
  if (fold === undefined) return 'the exporter folded BatchNorm into the layer before it'
  const { layer, parameter, tensor, step } = fold
  const what = tensor === undefined ? 'holds' : `is the checkpoint's ${tensor} times`
  return (
    `the exporter folded BatchNorm into the layer before it (at step ${step} the network's ${parameter} ${what} ` +
    `${layer}'s scale / sqrt(variance + epsilon))`
  )
}

function reorderedReason(reordered: readonly NamedPair[]): string {
  return (
    `${listNames(reordered.map(withBoth))} hold the same numbers in an order that no transposition makes: ` +
    'gates of a recurrent layer, which frameworks order differently, are not put in order'
  )
}

function remedy(mismatch: Mismatch): string {
  const { missing, zeros, merged, ambiguous, origin } = mismatch
  if (missing.some(({ name }) => name.includes('_fused_bn'))) return REMEDY_FOR_TF2ONNX
  if (missing.some(({ name }) => name.includes('batchnorm/'))) return REMEDY_FOR_KERAS
  if (isFolded(mismatch)) return KEEP_NAMES
  if (isUnused(mismatch)) return REMEDY_FOR_UNUSED
  if (isOtherSize(mismatch)) return `export the network that these checkpoints are of: ${EXPORT_LINE}`
  if (zeros.length > 0 || (ambiguous.length > 0 && origin !== undefined))
    return `export the model from a later checkpoint than ${origin!}, in which these have numbers of their own`
  if (merged !== undefined)
    return `export the model after some training, in which weights have numbers of their own, and with ${EXPORT_LINE}`
  return `${KEEP_NAMES}; or be exported from one of the checkpoints, whose numbers are then found in it`
}

function isTransposed({ missing, leftOver, shapes }: Mismatch): boolean {
  const swapped = shapes.some(({ parameter, tensor }) => areTransposed(parameter.shape, tensor.shape))
  const renamed = missing.some(
    ({ name, shape }) => isInvented(name) && leftOver.some((tensor) => areTransposed(shape, tensor.shape)),
  )
  return swapped || renamed
}

function areTransposed(a: readonly number[], b: readonly number[]): boolean {
  return a.length === 2 && b.length === 2 && a[0] === b[1] && a[1] === b[0]
}

function withShape({ name, shape }: NamedShape): string {
  return `${name} (${formatShape(shape)})`
}

function withBoth({ parameter, tensor }: NamedPair): string {
  return `${tensor.name} as ${parameter.name}`
}

function list(title: string, items: readonly string[]): string[] {
  if (items.length === 0) return []
  return [`  ${title}: ${listNames(items)}`]
}
