import { RetrogradError } from '../errors.js'
import type { LeftOut } from './checkpoint.js'
import { differenceBetween } from './consistency.js'
import { COUNTERS, type Save } from './formats/format.js'
import { numbersInName, stem } from './names.js'
import { readableTensors } from './network.js'
import { sameNumbers } from './numbers.js'

const VERSION = /-v\d+$/i

/**
 * The saves without those that hold once more what another one does: Lightning's `-v1`, which a second callback writes
 * under a taken name, and a final file (`model_final.pth`) that tells no step by its name, and the same one or none
 * inside. Their numbers are compared; a file with other numbers stays, and ordering reports it.
 */
export async function withoutCopies(saves: readonly Save[], leftOut: LeftOut[]): Promise<Save[]> {
  const kept: Save[] = []
  const originalsOf = possibleOriginals(saves)
  for (const save of saves) {
    const original = await firstEqual(originalsOf(save), save)
    if (original === undefined) kept.push(save)
    else leftOut.push({ path: save.path, reason: `the same numbers as ${original.fileName} once more` })
  }
  return kept
}

/** The saves that one may repeat, as names and counters tell. */
function possibleOriginals(saves: readonly Save[]): (save: Save) => readonly Save[] {
  const byStem = new Map(saves.map((save) => [stem(save.fileName), save]))
  const byCount = new Map(saves.filter(hasNumbers).map((save) => [countOf(save), save]))
  const telling = saves.filter((save) => hasNumbers(save) || countOf(save) !== undefined)
  return (save) => {
    const original = byStem.get(stem(save.fileName).replace(VERSION, ''))
    if (original !== undefined && original !== save) return [original]
    if (hasNumbers(save)) return []
    const count = countOf(save)
    const twins = count === undefined ? [...telling.slice(-1), ...telling.slice(0, 1)] : [byCount.get(count)]
    return twins.filter((twin) => twin !== undefined)
  }
}

async function firstEqual(originals: readonly Save[], save: Save): Promise<Save | undefined> {
  for (const original of originals) if (await holdTheSame(original, save)) return original
  return undefined
}

/** The best counter inside and its count. */
function countOf({ counters }: Save): string | undefined {
  const [counter] = COUNTERS.find(([name]) => counters.has(name)) ?? []
  return counter === undefined ? undefined : `${counter} ${counters.get(counter)!}`
}

function hasNumbers({ fileName }: Save): boolean {
  return Object.keys(numbersInName(fileName)).length > 0
}

async function holdTheSame(one: Save, other: Save): Promise<boolean> {
  if (differenceBetween({ ...one, step: 0 }, { ...other, step: 0 }, 'save') !== undefined) return false
  try {
    for (const { name } of readableTensors(one)) {
      const [here, there] = [await one.read(name), await other.read(name)]
      if (here.dtype !== there.dtype || !sameNumbers(here.data, there.data)) return false
    }
    return true
  } catch (error) {
    // what can't be read is reported where it is needed
    if (error instanceof RetrogradError) return false
    throw error
  }
}
