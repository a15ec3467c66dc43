import { conventionalLayout, fits, reshapes, type Layout, type Shaped, type UsedShape } from './layout.js'
import { leafOf } from './translate.js'

/** How a tensor becomes the parameter that it is by name, and how sure that is. */
export interface PairLayout {
  readonly layout: Layout
  /** Another layout that the shapes allow as well (a square kernel): numbers may tell. */
  readonly alternative?: Layout
  /** The shapes show that the checkpoint does not keep to the convention that its name stands for. */
  readonly contradicts?: true
}

const AS_IT_IS: Layout = {}
const SWAPPED: Layout = { permutation: [1, 0] }

/**
 * The layout of a pair that belongs together by name; undefined where none fits.
 *
 * Shapes decide where they can. Where the kernel is square, what its axes mean does: the name on the checkpoint's side
 * stands for a convention, the operator on the network's side for another. Only for a name that both sides share and that
 * is PyTorch's `weight` there is a stronger sign: exporters keep the name of a weight where they keep the weight, and
 * modules with inputs first exist (Conv1D of Hugging Face's GPT-2).
 */
export function pairLayout(parameter: UsedShape, tensor: Shaped): PairLayout | undefined {
  const shared = leafOf(parameter.name) === leafOf(tensor.name)
  const conventional = conventionalLayout(parameter, tensor)
  if (conventional === undefined) return byShape(parameter, tensor, shared)
  const same = fits(AS_IT_IS, tensor, parameter)
  if (fits(conventional, tensor, parameter)) {
    if (!same || conventional.permutation === undefined) return { layout: conventional }
    return shared && leafOf(tensor.name) === 'weight'
      ? { layout: AS_IT_IS, alternative: conventional }
      : { layout: conventional, alternative: AS_IT_IS }
  }
  if (same) return { layout: AS_IT_IS, contradicts: true }
  if (fitsSwapped(parameter, tensor)) return { layout: SWAPPED, contradicts: true }
  return reshapes(conventional, tensor, parameter) ? { layout: conventional } : undefined
}

/** Where nothing is known of the axes. */
function byShape(parameter: UsedShape, tensor: Shaped, shared: boolean): PairLayout | undefined {
  const rank = tensor.shape.length
  const swaps = fitsSwapped(parameter, tensor)
  if (fits(AS_IT_IS, tensor, parameter)) {
    const sure = shared || rank <= 1 || parameter.use?.kind === 'embedding' || (rank === 2 && !swaps)
    return sure && (shared || parameter.use?.kind !== 'recurrent') ? { layout: AS_IT_IS } : undefined
  }
  if (parameter.use?.kind === 'recurrent') return undefined
  if (swaps) return { layout: SWAPPED }
  return reshapes(AS_IT_IS, tensor, parameter) && (shared || rank <= 1) ? { layout: AS_IT_IS } : undefined
}

function fitsSwapped(parameter: Shaped, tensor: Shaped): boolean {
  return tensor.shape.length === 2 && fits(SWAPPED, tensor, parameter)
}
