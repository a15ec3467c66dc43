import type { UsedShape } from './layout.js'
import { pairLayout, type PairLayout } from './pair-layout.js'
import type { NamedShape } from './bind-report.js'
import { keepsMeaning, renamings, type Renaming } from './rename.js'
import { translations } from './translate.js'

/** A tensor at the place that its name gives it; `fit` is undefined where the shapes don't allow it. */
export interface Place {
  readonly parameter: UsedShape
  readonly tensor: NamedShape
  readonly fit: PairLayout | undefined
}

/** A try: where the tensors of a checkpoint go under a pair of renamings. */
export interface Attempt {
  /** What was stripped, as a report words it; empty where nothing was. */
  readonly stripped: string
  /** Whether the two sides name their tensors as different frameworks do. */
  readonly translated: boolean
  readonly places: readonly Place[]
  readonly leftOver: readonly NamedShape[]
  /** What the network would call a tensor of the checkpoint. */
  readonly rename: (tensor: string) => string
}

/** A name under which a tensor may be found, and what it is. */
interface Keyed<T> {
  readonly key: string
  readonly item: T
}

/**
 * The best way to bring two sets of names together, and the ways that are as good but place some tensor elsewhere. Names
 * as they are come first, then names in one framework's words (translate.ts).
 */
export function bindNames(
  parameters: readonly UsedShape[],
  tensors: readonly NamedShape[],
): { best: Attempt; rivals: readonly Attempt[] } {
  const attempts = [
    ...tries(asTheyAre(parameters), asTheyAre(tensors), tensors, false),
    ...[false, true].flatMap((repeats) =>
      tries(translated(parameters, repeats), translated(tensors, repeats), tensors, true),
    ),
  ]
  const best = attempts.reduce((a, b) => (fitting(b) > fitting(a) ? b : a))
  const asGood = attempts.filter((attempt) => fitting(attempt) === fitting(best))
  const rivals = best.stripped === '' ? [] : asGood.filter((attempt) => placesElsewhere(best, attempt))
  return { best, rivals }
}

function fitting({ places }: Attempt): number {
  return places.reduce((count, { fit }) => count + (fit === undefined ? 0 : 1), 0)
}

function placesElsewhere(best: Attempt, other: Attempt): boolean {
  const own = new Map(best.places.map(({ parameter, tensor }) => [parameter.name, tensor.name]))
  return other.places.some(({ parameter, tensor }) => own.get(parameter.name) !== tensor.name)
}

function asTheyAre<T extends NamedShape>(items: readonly T[]): Keyed<T>[] {
  return items.map((item) => ({ key: item.name, item }))
}

/** Every tensor under its translated names; a name that two tensors would share is nobody's. */
function translated<T extends NamedShape>(items: readonly T[], repeats: boolean): Keyed<T>[] {
  const all = items.flatMap((item) =>
    translations(item.name, { repeats }).map((key, rank) => ({ key, item, rank })),
  )
  const counts = new Map<string, number>()
  for (const { key, rank } of all) if (rank === 0) counts.set(key, (counts.get(key) ?? 0) + 1)
  return all.filter(({ key, rank }) => (counts.get(key) ?? 0) <= (rank === 0 ? 1 : 0))
}

/** Tries in the order in which they change the fewest names: the checkpoint's side first, then a prefix of the network's. */
function tries(
  parameters: readonly Keyed<UsedShape>[],
  tensors: readonly Keyed<NamedShape>[],
  all: readonly NamedShape[],
  translated: boolean,
): Attempt[] {
  const present = new Map(parameters.map(({ key, item }) => [key, item]))
  const keys = tensors.map(({ key }) => key)
  if (keys.length === 0) return []
  return renamings(keys).flatMap((renaming) =>
    networkPrefixes(renaming, keys, present).map((prefix): Attempt => {
      const places = placesOf(tensors, present, (key) => prefix + renaming.rename(key))
      const placed = new Set(places.map(({ tensor }) => tensor.name))
      return {
        stripped: wording(renaming, prefix),
        translated,
        places,
        leftOver: all.filter(({ name }) => !placed.has(name)),
        rename: translated ? (name) => name : (name) => prefix + renaming.rename(name),
      }
    }),
  )
}

function placesOf(
  tensors: readonly Keyed<NamedShape>[],
  present: ReadonlyMap<string, UsedShape>,
  rename: (key: string) => string,
): Place[] {
  const places = new Map<string, Place>()
  const placed = new Set<string>()
  for (const { key, item: tensor } of tensors) {
    const parameter = present.get(rename(key))
    if (parameter === undefined || places.has(parameter.name) || placed.has(tensor.name)) continue
    places.set(parameter.name, { parameter, tensor, fit: pairLayout(parameter, tensor) })
    placed.add(tensor.name)
  }
  return [...places.values()]
}

/** Names that are looked at for a prefix: an exporter may have renamed the first few. */
const NAMES_LOOKED_AT = 32

/**
 * What stands before the tensors' names in the network's names: nothing, or whole leading components (a wrapper module).
 * A name that someone chose is not exchanged for another: `encoder.` of one side does not become `decoder.`.
 */
function networkPrefixes(
  renaming: Renaming,
  keys: readonly string[],
  present: ReadonlyMap<string, unknown>,
): string[] {
  if (!keepsMeaning(renaming)) return ['']
  const found = new Set([''])
  for (const key of keys.slice(0, NAMES_LOOKED_AT)) {
    const name = renaming.rename(key)
    for (const place of present.keys())
      if (place.endsWith(`.${name}`) || place.endsWith(`/${name}`)) found.add(place.slice(0, -name.length))
    if (found.size > 1) break
  }
  return [...found]
}

function wording({ removed }: Renaming, prefix: string): string {
  const quote = (parts: readonly string[]): string => parts.map((part) => `'${part}'`).join(' and ')
  return [
    ...(removed.length === 0 ? [] : [`${quote(removed)} from the checkpoint's names`]),
    ...(prefix === '' ? [] : [`${quote([prefix])} from the network's names`]),
  ].join(' and ')
}
