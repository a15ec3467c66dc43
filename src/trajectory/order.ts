import { CheckpointError } from '../errors.js'
import { compareNaturally, listNames } from '../listing.js'
import type { StepUnit } from './checkpoint.js'
import { COUNTERS, type Save } from './formats/format.js'
import { NAME_UNITS, numbersInName } from './names.js'

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
  /** Whether it may honestly be the same in several checkpoints: then the next source is looked at. */
  readonly mayRepeat: boolean
}

const UNEXPLAINED = 'from the number in the file names'

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
  if (chosen === undefined) return orderByName(saves, notes)
  const placed = saves.map((save, i) => ({ save, step: chosen.numbers[i]! })).sort((a, b) => a.step - b.step)
  rejectRepeats(placed, chosen)
  return { placed, stepUnit: chosen.unit, notes: [...notes, `steps: ${chosen.text}`] }
}

/** The saves in the natural order of their names, where nothing tells their steps. */
export function orderByName(saves: readonly Save[], notes: readonly string[] = []): Order {
  const sorted = [...saves].sort((a, b) => compareNaturally(a.fileName, b.fileName))
  const placed = sorted.map((save, step) => ({ save, step }))
  return { placed, stepUnit: 'save', notes: [...notes, 'steps: not recorded; ordered by file name'] }
}

/** The saves of one file in the order in which it holds them. */
export function orderByPosition(saves: readonly Save[]): Order {
  return { placed: saves.map((save, step) => ({ save, step })), stepUnit: 'save', notes: [] }
}

/** Counters that some trainers start anew with every pass through the data. */
const WITHIN_EPOCH = new Set<string>(['iter', 'it'])

/** The best source that all saves have, unless it is one that may honestly repeat, and does; where none is left, the best. */
function chooseSource(sources: readonly Source[]): Source | undefined {
  const complete = sources.filter(({ numbers }) => numbers.every((number) => number !== undefined))
  const chosen = complete.find((source) => !source.mayRepeat || !hasRepeats(source))
  if (chosen !== undefined && (chosen.text !== UNEXPLAINED || !hasRepeats(chosen))) return chosen
  const isExplained = complete.some(({ text }) => text !== UNEXPLAINED)
  return isExplained ? complete[0] : chosen
}

/** Says so when a source that only some saves have, or that cannot tell them apart, was passed over. */
function noteOf(source: Source, saves: readonly Save[]): string[] {
  const lacking = saves.filter((_, i) => source.numbers[i] === undefined)
  if (lacking.length === saves.length) return []
  const why = lacking[0] === undefined ? 'it repeats' : `${lacking[0].path} has none`
  return [`steps: ${source.text} not used, since ${why}`]
}

function counterSources(saves: readonly Save[]): Source[] {
  const sources = COUNTERS.map(([name, unit]) => {
    const numbers = saves.map((save) => save.counters.get(name))
    return source(`from '${name}' inside the files`, unit, numbers, WITHIN_EPOCH.has(name))
  })
  return withRestarts(sources)
}

function nameSources(saves: readonly Save[]): Source[] {
  const inNames = saves.map((save) => numbersInName(save.fileName))
  const sources = NAME_UNITS.map(([kind, unit]) => {
    const numbers = inNames.map((found) => found[kind])
    return kind === 'number'
      ? source(UNEXPLAINED, saves[0]?.nameUnit ?? unit, numbers)
      : source(`from the ${kind} in the file names`, unit, numbers)
  })
  return withRestarts(sources)
}

/**
 * Where a count starts anew with every epoch (`epoch0_step10`, `epoch1_step0`), the epoch and the count together tell the
 * order, and the saves are numbered in it.
 */
function withRestarts(sources: readonly Source[]): Source[] {
  const epoch = sources.find(isEpochOfAll)
  return sources.map((one) => {
    if (epoch === undefined || one.unit === 'epoch' || !restarts(one, epoch)) return one
    return {
      text: `${epoch.text}, and in each ${one.text}; numbered in this order`,
      unit: 'save',
      numbers: ranksOf(one, epoch),
      mayRepeat: false,
    }
  })
}

function isEpochOfAll({ unit, numbers }: Source): boolean {
  return unit === 'epoch' && numbers.every((number) => number !== undefined)
}

/** Whether a later epoch has a smaller count than an earlier one. */
function restarts({ numbers }: Source, epoch: Source): boolean {
  if (numbers.includes(undefined)) return false
  const counts = byEpoch(numbers, epoch).map((i) => numbers[i]!)
  return counts.some((count, at) => at > 0 && count < counts[at - 1]!)
}

/** The place of each save in the order of epochs, then counts; the same place where both are the same. */
function ranksOf({ numbers }: Source, epoch: Source): number[] {
  const ranks = new Array<number>(numbers.length).fill(0)
  const order = byEpoch(numbers, epoch)
  for (const [at, i] of order.entries()) {
    const before = order[at - 1]
    if (before === undefined) continue
    const isSame = numbers[i] === numbers[before] && epoch.numbers[i] === epoch.numbers[before]
    ranks[i] = ranks[before]! + (isSame ? 0 : 1)
  }
  return ranks
}

/** The saves in the order of epochs, then counts. */
function byEpoch(counts: Source['numbers'], epoch: Source): number[] {
  return [...counts.keys()].sort((a, b) => epoch.numbers[a]! - epoch.numbers[b]! || counts[a]! - counts[b]!)
}

function source(
  text: string,
  unit: StepUnit,
  numbers: readonly (number | undefined)[],
  withinEpoch = false,
): Source {
  const mayRepeat = unit === 'epoch' || withinEpoch || countsNothing(numbers, text === UNEXPLAINED)
  return { text, unit, numbers, mayRepeat }
}

/**
 * Whether a number is no step, since it is the same everywhere: a counter that nobody counted up, the length of the whole
 * run, the 50 of `resnet50`. Two checkpoints of one step above zero are more likely one that was copied.
 */
function countsNothing(numbers: readonly (number | undefined)[], isUnexplained: boolean): boolean {
  const isSame = numbers.length > 1 && numbers.every((number) => number === numbers[0])
  return isSame && (isUnexplained || numbers[0] === 0 || numbers.length > 2)
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
    if (next?.step === step)
      throw new CheckpointError(
        `${save.path} and ${next.save.path} both record ${source.unit} ${step} (${source.text}); ${remedyFor(placed, source)}`,
      )
  }
}

/** Names that differ in more than their numbers are of several series, such as the two networks of a GAN. */
function remedyFor(placed: readonly Placed[], { text }: Source): string {
  const series = new Map<string, number>()
  for (const { save } of placed) {
    const name = save.fileName.replace(/\d+(?:\.\d+)?/g, '*')
    series.set(name, (series.get(name) ?? 0) + 1)
  }
  const long = [...series].filter(([, count]) => count > 1).map(([name]) => name)
  const rename = text === UNEXPLAINED ? ', or say in the names what they count (epoch0_step10.pt)' : ''
  return long.length < 2
    ? `move one of them out${rename}`
    : `the folder holds ${long.length} series (${listNames(long)}): move each to a folder of its own`
}
