import { isFloat } from '../tensor.js'
import { RetrogradError } from '../errors.js'
import type { LeftOut } from './checkpoint.js'
import { differenceBetween } from './consistency.js'
import { COUNTERS, type Save } from './formats/format.js'
import { numbersInName, stem } from './names.js'

const VERSION = /-v\d+$/i

/**
 * The saves without those that hold once more what another one does: Lightning's `-v1`, which a second callback writes
 * under a taken name, and a final file (`model_final.pth`) that tells no step by its name and the same one inside. Their
 * numbers are compared; a file of the same step with other numbers stays, and ordering reports it.
 */
export async function withoutCopies(saves: readonly Save[], leftOut: LeftOut[]): Promise<Save[]> {
  const kept: Save[] = []
  const byStem = new Map(saves.map((save) => [stem(save.fileName), save]))
  const byCount = new Map(saves.filter(hasNumbers).map((save) => [countOf(save), save]))
  for (const save of saves) {
    const original = byStem.get(stem(save.fileName).replace(VERSION, '')) ?? save
    const other = original === save ? numberedTwin(save, byCount) : original
    if (other === undefined || !(await holdTheSame(other, save))) kept.push(save)
    else leftOut.push({ path: save.path, reason: `the same numbers as ${other.fileName} once more` })
  }
  return kept
}

/** The save that tells its step by its name too, where this one tells the same step inside only. */
function numberedTwin(save: Save, byCount: ReadonlyMap<string | undefined, Save>): Save | undefined {
  const count = countOf(save)
  return count === undefined || hasNumbers(save) ? undefined : byCount.get(count)
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
    for (const { name, dtype, unsupported } of one.tensors.values()) {
      if (!isFloat(dtype) || unsupported !== undefined) continue
      const [here, there] = [await one.read(name), await other.read(name)]
      if (here.dtype !== there.dtype || here.data.some((value, i) => !Object.is(value, there.data[i])))
        return false
    }
    return true
  } catch (error) {
    // what can't be read is reported where it is needed
    if (error instanceof RetrogradError) return false
    throw error
  }
}
