import { listNames } from '../listing.js'
import { formatShape } from '../tensor.js'

/** A tensor of either side. */
export interface NamedShape {
  readonly name: string
  readonly shape: readonly number[]
}

/** What does not fit between a network and a checkpoint, under the renaming that fits best. */
export interface Mismatch {
  /** Float initializers of the network without a tensor. */
  readonly missing: readonly NamedShape[]
  /** Float tensors of the checkpoint without a place. */
  readonly leftOver: readonly NamedShape[]
  readonly shapes: readonly { readonly parameter: NamedShape; readonly tensor: NamedShape }[]
}

/** How to export a network so that its weights keep their names and its batch axis stays open. */
export const EXPORT_LINE =
  'torch.onnx.export(model.eval(), (x,), "model.onnx", dynamo=True, optimize=False, ' +
  'dynamic_shapes=({0: torch.export.Dim("batch")},))'

/** Names that exporters invent for constants and for weights they have changed. */
export const INVENTED_NAME = /^(?:val_\d+|onnx::\w+|.*(?:transpose|MatMul|Constant)[^.]*)$/i

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
    `  the network must keep the names and shapes of the state_dict: ${EXPORT_LINE}`,
  ].join('\n')
}

function reason(mismatch: Mismatch): string {
  const reasons = [
    ...(isBatchNormFolded(mismatch) ? ['the exporter folded BatchNorm into the layer before it'] : []),
    ...(isTransposed(mismatch) ? ['the exporter transposed the weights of Linear layers'] : []),
  ]
  if (reasons.length > 0) return reasons.join(', and ')
  if (mismatch.shapes.length > 0 && mismatch.leftOver.length === 0)
    return 'shapes differ: another size of the network?'
  if (mismatch.missing.length === 0 && mismatch.shapes.length === 0)
    return 'the network lacks what its forward pass does not use, since exporters drop it: leave these tensors out of the checkpoints'
  return 'the two name their tensors differently, or are different networks'
}

/** BatchNorm's running statistics have no place in a network whose BatchNorm is folded away. */
function isBatchNormFolded({ leftOver }: Mismatch): boolean {
  return leftOver.some(({ name }) =>
    /(?:^|[._/])(?:running_mean|running_var|moving_mean|moving_variance)(?::0)?$/.test(name),
  )
}

function isTransposed({ missing, leftOver, shapes }: Mismatch): boolean {
  const swapped = shapes.some(({ parameter, tensor }) => areTransposed(parameter.shape, tensor.shape))
  const renamed = missing.some(
    ({ name, shape }) =>
      INVENTED_NAME.test(name) && leftOver.some((tensor) => areTransposed(shape, tensor.shape)),
  )
  return swapped || renamed
}

function areTransposed(a: readonly number[], b: readonly number[]): boolean {
  return a.length === 2 && b.length === 2 && a[0] === b[1] && a[1] === b[0]
}

function withShape({ name, shape }: NamedShape): string {
  return `${name} (${formatShape(shape)})`
}

function list(title: string, items: readonly string[]): string[] {
  if (items.length === 0) return []
  return [`  ${title}: ${listNames(items)}`]
}
