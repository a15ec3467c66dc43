import { RetrogradError } from '../errors.js'
import { elementCount, sameShape } from '../tensor.js'
import type { TensorInfo } from './checkpoint.js'
import type { BoundCheckpoint, NetworkTensor } from './network.js'
import { bySize } from './layout.js'
import { inFloat32, isDistinctive, roundedTo, unorderedDigest } from './numbers.js'

/** A weight of the model whose numbers are looked for, and the tensors that may hold them. */
interface Probe {
  readonly parameter: NetworkTensor
  readonly candidates: readonly TensorInfo[]
}

/** Weights that are looked for in every checkpoint: one may be folded or frozen, all are not. */
const NAMED_PROBES = 2
const UNNAMED_PROBES = 3
/** Weights that are read in search of one probe whose numbers differ enough. */
const MOST_READ = 16

/**
 * The checkpoint that the model was exported from: the one that holds the numbers of some weights of the model file, in
 * whatever layout. Tries the last, then the first, then the others from the end; then those that are not replayed.
 * Undefined where none does.
 *
 * @param named the tensor of each weight that is bound by name
 * @param unbound weights and tensors that are not
 */
export async function findOrigin(
  named: readonly { readonly parameter: NetworkTensor; readonly tensor: TensorInfo }[],
  unbound: { readonly parameters: readonly NetworkTensor[]; readonly tensors: readonly TensorInfo[] },
  run: { readonly checkpoints: readonly BoundCheckpoint[]; readonly others: readonly BoundCheckpoint[] },
): Promise<BoundCheckpoint | undefined> {
  const byName = cheapest(
    named.map(({ parameter, tensor }) => ({ parameter, candidates: [tensor] })),
    NAMED_PROBES,
  )
  const probes = byName.length === NAMED_PROBES ? byName : [...byName, ...unnamedProbes(unbound)]
  if (probes.length === 0) return undefined
  const all = [...unbound.tensors, ...named.map(({ tensor }) => tensor)]
  const others = run.others.filter((checkpoint) => holdsAll(checkpoint, all))
  return (await search(probes, run.checkpoints)) ?? (await search(probes, others.map(orNothing)))
}

async function search(
  probes: readonly Probe[],
  checkpoints: readonly BoundCheckpoint[],
): Promise<BoundCheckpoint | undefined> {
  let best: { checkpoint: BoundCheckpoint; found: number } | undefined
  for (const checkpoint of inOrderOfLikelihood(checkpoints)) {
    const found = await countFound(probes, checkpoint)
    if (found > (best?.found ?? 0)) best = { checkpoint, found }
    if (found === probes.length) break
  }
  return best?.checkpoint
}

function holdsAll({ tensors }: BoundCheckpoint, wanted: readonly TensorInfo[]): boolean {
  return wanted.every(({ name, shape }) => {
    const own = tensors.get(name)
    return own !== undefined && sameShape(own.shape, shape)
  })
}

/** A checkpoint that nobody asked for may be damaged: then it is not the one. */
function orNothing(checkpoint: BoundCheckpoint): BoundCheckpoint {
  const { path, step, tensors } = checkpoint
  const read: BoundCheckpoint['read'] = async (name) => {
    try {
      return await checkpoint.read(name)
    } catch (error) {
      if (!(error instanceof RetrogradError)) throw error
      return { ...tensors.get(name)!, data: new Float32Array() }
    }
  }
  return { path, step, tensors, read }
}

function unnamedProbes({
  parameters,
  tensors,
}: {
  readonly parameters: readonly NetworkTensor[]
  readonly tensors: readonly TensorInfo[]
}): Probe[] {
  const byCount = bySize(tensors)
  const all = parameters.map((parameter) => ({
    parameter,
    candidates: byCount.get(elementCount(parameter.shape)) ?? [],
  }))
  return cheapest(all, UNNAMED_PROBES)
}

function inOrderOfLikelihood<C>(checkpoints: readonly C[]): C[] {
  const last = checkpoints.slice(-1)
  const others = checkpoints.slice(1, -1).toReversed()
  return [...last, ...(checkpoints.length > 1 ? checkpoints.slice(0, 1) : []), ...others]
}

/** The probes that cost the fewest bytes in each checkpoint, of numbers that are not equal to others by chance. */
function cheapest(probes: readonly Probe[], most: number): Probe[] {
  const cost = ({ parameter, candidates }: Probe): number => elementCount(parameter.shape) * candidates.length
  const possible = probes
    .filter(
      ({ parameter: { read, shape }, candidates }) =>
        read && candidates.length > 0 && elementCount(shape) > 1,
    )
    .sort((a, b) => cost(a) - cost(b))
  const chosen: Probe[] = []
  for (const probe of possible.slice(0, MOST_READ)) {
    if (chosen.length === most) break
    if (isDistinctive(inFloat32(probe.parameter.read!()))) chosen.push(probe)
  }
  return chosen
}

async function countFound(probes: readonly Probe[], checkpoint: BoundCheckpoint): Promise<number> {
  let found = 0
  for (const { parameter, candidates } of probes) {
    const numbers = inFloat32(parameter.read!())
    for (const { name, dtype } of candidates) {
      const { data } = await checkpoint.read(name)
      if (unorderedDigest(inFloat32(data)) !== unorderedDigest(roundedTo(numbers, dtype))) continue
      found += 1
      break
    }
  }
  return found
}
