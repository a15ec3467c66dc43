import { applyMap, type Mapped } from './apply-map.js'
import { bindNames, type Attempt, type Place } from './bind-names.js'
import { matchShapes } from './bind-shapes.js'
import { layersOf, matchValues, type Match, type ValueMatches } from './bind-values.js'
import type { TensorInfo } from './checkpoint.js'
import type { Layout } from './layout.js'
import type { NameMap } from './map-file.js'
import { floatTensors, type BoundCheckpoint, type Evidence, type NetworkTensor } from './network.js'
import { findOrigin } from './origin.js'
import { settleLayouts, type Fitted } from './settle.js'

/** A parameter and its tensor. */
export interface Tie {
  readonly parameter: NetworkTensor
  readonly tensor: TensorInfo
  readonly layout: Layout
  readonly by: Evidence
}

/** All that could be tied, and what could not. */
export interface Ties {
  readonly ties: readonly Tie[]
  /** The renaming under which most names meet. */
  readonly attempt: Attempt
  /** Renamings that are as good and put some tensor elsewhere. */
  readonly rivals: readonly Attempt[]
  /** Parameters without a tensor, but for those that a map leaves constant. */
  readonly missing: readonly NetworkTensor[]
  readonly leftOver: readonly TensorInfo[]
  /** Pairs of one name whose shapes don't fit. */
  readonly misshapen: readonly Pick<Match, 'parameter' | 'tensor'>[]
  /** Pairs between which neither numbers nor names decide. */
  readonly ambiguous: readonly Match[]
  /** Pairs of one name that are square and may lie either way. */
  readonly undecided: readonly Pick<Match, 'parameter' | 'tensor'>[]
  /** Pairs of equal numbers in another order than transpositions make. */
  readonly reordered: ValueMatches['reordered']
  readonly origin: BoundCheckpoint | undefined
}

/**
 * Ties what can be tied, in the order that `bind` describes, and throws only for a map that is wrong.
 *
 * @param parameters the network's float initializers
 */
export async function tie(
  parameters: readonly NetworkTensor[],
  checkpoints: readonly BoundCheckpoint[],
  { map, others }: { readonly map?: NameMap; readonly others?: readonly BoundCheckpoint[] },
): Promise<Ties> {
  const [first] = checkpoints
  const tensors = floatTensors(first!)
  const mapped = applyMap(map ?? {}, parameters, first!.tensors)
  const all = bindNames(parameters, tensors)
  const open = withoutMapped(mapped, parameters, tensors)
  const named =
    open.tensors.length === 0 ? undefined : isEmpty(mapped) ? all : bindNames(open.parameters, open.tensors)
  const places = placesOf(named?.best, new Map(parameters.map((one) => [one.name, one])), first!)
  const fitted = [...mapped.pairs.map((pair): Fitted => ({ ...pair, by: 'map' })), ...places.fitting]
  const unbound = without(fitted, open)
  const origin = needsNumbers(fitted, unbound)
    ? await findOrigin(fitted, unbound, { checkpoints, others: others ?? [] })
    : undefined
  const conventional = keepsConvention(fitted)
  const { ties, undecided } = await settleLayouts(fitted, origin, conventional)
  const rest = await tieTheRest(ties, unbound, origin, conventional)
  const left = without([...ties, ...rest.ties], open)
  return {
    ...rest,
    ties: [...ties, ...rest.ties],
    attempt: all.best,
    rivals: named?.rivals ?? [],
    missing: left.parameters,
    leftOver: left.tensors,
    misshapen: places.misshapen,
    undecided,
    origin,
  }
}

interface Unbound {
  readonly parameters: readonly NetworkTensor[]
  readonly tensors: readonly TensorInfo[]
}

function isEmpty({ pairs, constants }: Mapped): boolean {
  return pairs.length === 0 && constants.size === 0
}

function withoutMapped(
  { pairs, constants }: Mapped,
  parameters: readonly NetworkTensor[],
  tensors: readonly TensorInfo[],
): Unbound {
  const open = without(pairs, { parameters, tensors })
  return { ...open, parameters: open.parameters.filter(({ name }) => !constants.has(name)) }
}

function without(
  pairs: readonly {
    readonly parameter: { readonly name: string }
    readonly tensor: { readonly name: string }
  }[],
  { parameters, tensors }: Unbound,
): Unbound {
  const own = new Set(pairs.map(({ parameter }) => parameter.name))
  const other = new Set(pairs.map(({ tensor }) => tensor.name))
  return {
    parameters: parameters.filter(({ name }) => !own.has(name)),
    tensors: tensors.filter(({ name }) => !other.has(name)),
  }
}

function placesOf(
  attempt: Attempt | undefined,
  parameters: ReadonlyMap<string, NetworkTensor>,
  { tensors }: BoundCheckpoint,
): { fitting: Fitted[]; misshapen: Pick<Match, 'parameter' | 'tensor'>[] } {
  const fitting: Fitted[] = []
  const misshapen: Pick<Match, 'parameter' | 'tensor'>[] = []
  for (const place of attempt?.places ?? []) {
    const [parameter, tensor] = [parameters.get(place.parameter.name)!, tensors.get(place.tensor.name)!]
    if (place.fit === undefined) misshapen.push({ parameter, tensor })
    else fitting.push({ parameter, tensor, fit: place.fit, by: evidenceOf(attempt!, place) })
  }
  return { fitting, misshapen }
}

function evidenceOf({ translated }: Attempt, { parameter, tensor }: Place): Evidence {
  return translated && parameter.name !== tensor.name ? 'translated name' : 'name'
}

/** Values are read only where something is left, or where a square kernel may lie either way. */
function needsNumbers(fitted: readonly Fitted[], { tensors }: Unbound): boolean {
  return tensors.length > 0 || fitted.some(({ fit }) => fit.alternative !== undefined)
}

/** Whether all kernels whose shapes tell lie as their names on the checkpoint's side say. */
function keepsConvention(fitted: readonly Fitted[]): boolean {
  return !fitted.some(({ fit }) => fit.contradicts === true)
}

async function tieTheRest(
  ties: readonly Tie[],
  unbound: Unbound,
  origin: BoundCheckpoint | undefined,
  conventional: boolean,
): Promise<{ ties: Tie[]; ambiguous: readonly Match[]; reordered: ValueMatches['reordered'] }> {
  const layers = layersOf(ties)
  if (origin !== undefined) {
    const found = await matchValues(unbound.parameters, unbound.tensors, origin, layers)
    const own = found.matches.map((match): Tie => ({ ...match, by: 'value' }))
    return { ...found, ties: own }
  }
  const found = matchShapes(unbound.parameters, unbound.tensors, layers, conventional)
  const own = found.matches.map((match): Tie => ({ ...match, by: 'shape' }))
  return { ties: own, ambiguous: found.ambiguous, reordered: [] }
}
