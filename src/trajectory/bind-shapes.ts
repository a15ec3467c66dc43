import { takePairs, uniquePairs } from './assign.js'
import type { TensorInfo } from './checkpoint.js'
import type { Match } from './bind-values.js'
import { isInvented } from './invented.js'
import { conventionalLayout, fits, type Layout } from './layout.js'
import type { NetworkTensor } from './network.js'
import { ownerOf } from './translate.js'

export interface ShapeMatches {
  readonly matches: readonly Match[]
  /** Pairs that fit as well as others do. */
  readonly ambiguous: readonly Match[]
}

/**
 * Ties matrices and kernels under invented names to what is left of the checkpoint where their shapes leave one way: an
 * exporter transposed them, and the model holds other numbers than any checkpoint. Where several fit, the one is taken
 * whose layer the graph shows beside it. Vectors are never tied by their length.
 *
 * @param keepsConvention whether the checkpoint's kernels lie as their names say; otherwise square ones stay untied
 */
export function matchShapes(
  parameters: readonly NetworkTensor[],
  tensors: readonly TensorInfo[],
  layers: (parameter: NetworkTensor) => ReadonlySet<string>,
  keepsConvention: boolean,
): ShapeMatches {
  const possible = parameters
    .filter(({ name, shape }) => isInvented(name) && shape.length >= 2)
    .flatMap((parameter) =>
      tensors.flatMap((tensor): Match[] => {
        const layout = likelyLayout(parameter, tensor, keepsConvention)
        return layout === undefined ? [] : [{ parameter, tensor, layout }]
      }),
    )
  const isNear = ({ parameter, tensor }: Match): boolean => layers(parameter).has(ownerOf(tensor.name))
  return takePairs(possible, [(left) => uniquePairs(left.filter(isNear)), uniquePairs])
}

function likelyLayout(
  parameter: NetworkTensor,
  tensor: TensorInfo,
  keepsConvention: boolean,
): Layout | undefined {
  if (parameter.shape.length !== tensor.shape.length) return undefined
  const layout = conventionalLayout(parameter, tensor)
  const square = parameter.shape.length === 2 && parameter.shape[0] === parameter.shape[1]
  if (layout !== undefined)
    return fits(layout, tensor, parameter) && (keepsConvention || !square) ? layout : undefined
  if (parameter.use?.kind === 'recurrent' || tensor.shape.length !== 2 || square) return undefined
  return [{}, { permutation: [1, 0] }].find((one) => fits(one, tensor, parameter))
}
