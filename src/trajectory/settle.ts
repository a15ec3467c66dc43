import type { TensorInfo } from './checkpoint.js'
import type { Layout } from './layout.js'
import type { BoundCheckpoint, Evidence, NetworkTensor } from './network.js'
import { equalsTransposed, inFloat32, roundedTo } from './numbers.js'
import type { PairLayout } from './pair-layout.js'
import { leafOf } from './translate.js'
import type { Tie } from './tie.js'

/** A pair, before it is settled how a square kernel lies. */
export interface Fitted {
  readonly parameter: NetworkTensor
  readonly tensor: TensorInfo
  readonly fit: PairLayout
  readonly by: Evidence
}

/**
 * Settles how square kernels lie: by the numbers of the checkpoint that the model was exported from, else by what names
 * and use stand for. Where other kernels show that the checkpoints don't keep to that, a weight of one name on both sides
 * lies as it is, and any other stays undecided.
 *
 * @param keepsConvention whether all kernels whose shapes tell lie as their names say
 */
export async function settleLayouts(
  fitted: readonly Fitted[],
  origin: BoundCheckpoint | undefined,
  keepsConvention: boolean,
): Promise<{ readonly ties: Tie[]; readonly undecided: readonly Fitted[] }> {
  const ties: Tie[] = []
  const undecided: Fitted[] = []
  for (const one of fitted) {
    const layout = await settled(one, origin, keepsConvention)
    if (layout === undefined) undecided.push(one)
    const { parameter, tensor, by, fit } = one
    ties.push({ parameter, tensor, by, layout: layout ?? fit.layout })
  }
  return { ties, undecided }
}

async function settled(
  { parameter, tensor, fit }: Fitted,
  origin: BoundCheckpoint | undefined,
  keepsConvention: boolean,
): Promise<Layout | undefined> {
  const { layout, alternative } = fit
  if (alternative === undefined) return layout
  const both = [layout, alternative]
  const proven = origin && (await byNumbers(parameter, tensor, both, origin))
  if (proven !== undefined) return proven
  if (keepsConvention) return layout
  const shared = leafOf(parameter.name) === leafOf(tensor.name)
  return shared ? both.find(({ permutation }) => permutation === undefined) : undefined
}

/** The first of the layouts under which the numbers are equal; undefined where neither is. */
async function byNumbers(
  parameter: NetworkTensor,
  tensor: TensorInfo,
  layouts: readonly Layout[],
  origin: BoundCheckpoint,
): Promise<Layout | undefined> {
  if (parameter.read === undefined) return undefined
  const wanted = roundedTo(inFloat32(parameter.read()), tensor.dtype)
  const numbers = inFloat32((await origin.read(tensor.name)).data)
  const own = tensor.shape.map((_, axis) => axis)
  return layouts.find(({ permutation }) =>
    equalsTransposed(wanted, numbers, tensor.shape, permutation ?? own),
  )
}
