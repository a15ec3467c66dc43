import { CheckpointError } from '../errors.js'
import type { StepUnit } from './checkpoint.js'
import { COUNTERS, type Save } from './formats/format.js'
import { compareNaturally, NAME_UNITS, numbersInName } from './names.js'

/** A save with its step. */
export interface Placed {
  readonly save: Save
  readonly step: number
}

/** The order of a run's checkpoints, and where it comes from. */
export interface Order {
  readonly placed: readonly Placed[]
  readonly stepUnit: StepUnit
  readonly notes: readonly string[]
}

/** One way to know the steps: the number that each save has, undefined where it has none. */
interface Source {
  readonly text: string
  readonly unit: StepUnit
  readonly numbers: readonly (number | undefined)[]
}

/**
 * Orders the saves of a folder by the best source that all of them share: a counter inside the files, else a number
 * in their names, else their names in natural order.
 * @throws CheckpointError when two saves record the same step, or a few tell none while the others do
 */
export function orderSaves(saves: readonly Save[]): Order {
  const sources = [...counterSources(saves), ...nameSources(saves)]
  const chosen = chooseSource(sources)
  const passedOver = chosen === undefined ? sources : sources.slice(0, sources.indexOf(chosen))
  const notes = passedOver.flatMap((source) => noteOf(source, saves))
  if (chosen === undefined) rejectPartialSteps(sources, saves)
  if (chosen === undefined)
    return { ...byName(saves), notes: [...notes, 'steps: not recorded; ordered by file name'] }
  const placed = saves.map((save, i) => ({ save, step: chosen.numbers[i]! })).sort((a, b) => a.step - b.step)
  rejectRepeats(placed, chosen)
  return { placed, stepUnit: chosen.unit, notes: [...notes, `steps: ${chosen.text}`] }
}

/** The saves of one file in the order in which it holds them. */
export function orderByPosition(saves: readonly Save[]): Order {
  return { placed: saves.map((save, step) => ({ save, step })), stepUnit: 'save', notes: [] }
}

function chooseSource(sources: readonly Source[]): Source | undefined {
  const complete = sources.filter(
    (source) => source.numbers.every((number) => number !== undefined) && !countsNothing(source),
  )
  const [first] = complete
  // Several saves within an epoch carry the same epoch inside; their names may still count steps.
  if (first?.unit === 'epoch' && hasRepeats(first)) {
    return complete.find((source) => source.unit !== 'epoch' && !hasRepeats(source)) ?? first
  }
  return first
}

/** Says so when a source that only some saves have, or that cannot tell them apart, was passed over. */
function noteOf(source: Source, saves: readonly Save[]): string[] {
  const lacking = saves.filter((_, i) => source.numbers[i] === undefined)
  if (lacking.length === saves.length) return []
  const why = lacking[0] === undefined ? 'it repeats' : `${lacking[0].path} has none`
  return [`steps: ${source.text} not used, since ${why}`]
}

function counterSources(saves: readonly Save[]): Source[] {
  return COUNTERS.map(([name, unit]) => ({
    text: `from '${name}' inside the files`,
    unit,
    numbers: saves.map((save) => save.counters.get(name)),
  }))
}

function nameSources(saves: readonly Save[]): Source[] {
  const inNames = saves.map((save) => numbersInName(save.fileName))
  return NAME_UNITS.map(([kind, unit]) => ({
    text: kind === 'number' ? 'from the number in the file names' : `from the ${kind} in the file names`,
    unit: kind === 'number' ? (saves[0]?.nameUnit ?? unit) : unit,
    numbers: inNames.map((numbers) => numbers[kind]),
  }))
}

function byName(saves: readonly Save[]): Omit<Order, 'notes'> {
  const sorted = [...saves].sort((a, b) => compareNaturally(a.fileName, b.fileName))
  return { placed: sorted.map((save, step) => ({ save, step })), stepUnit: 'save' }
}

/** An optimizer that a training loop of one's own never called counts no updates. */
function countsNothing({ numbers }: Source): boolean {
  return numbers.every((number) => number === 0)
}

function hasRepeats({ numbers }: Source): boolean {
  return new Set(numbers).size < numbers.length
}

/** Where most names tell a step, one that doesn't would be put anywhere by its name. */
function rejectPartialSteps(sources: readonly Source[], saves: readonly Save[]): void {
  for (const { numbers, text } of sources) {
    const lacking = saves.filter((_, i) => numbers[i] === undefined)
    if (lacking.length === 0 || lacking.length * 2 >= saves.length) continue
    throw new CheckpointError(
      `${lacking[0]!.path} tells no step, while ${saves.length - lacking.length} other checkpoints do (${text}); ` +
        'rename it, or move it out of the folder',
    )
  }
}

function rejectRepeats(placed: readonly Placed[], source: Source): void {
  for (const [i, { save, step }] of placed.entries()) {
    const next = placed[i + 1]
    if (next?.step === step) {
      throw new CheckpointError(
        `${save.path} and ${next.save.path} both record ${source.unit} ${step} (${source.text}); move one of them out`,
      )
    }
  }
}
