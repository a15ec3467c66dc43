import { DataError } from '../../errors.js'
import { elementCount, formatShape } from '../../tensor.js'

/**
 * The shape of a row of nested lists by its repetition levels: 0 where the row begins, else the depth of the list that
 * goes on (Dremel; parquet-format, "Nested Encoding").
 * @param depth the number of lists around a value
 */
export function shapeOfRow(levels: readonly number[], depth: number): number[] {
  const counts = Array.from({ length: depth }, (_, d) => levels.filter((level) => level <= d + 1).length)
  return counts.map((count, d) => Math.floor(count / (counts[d - 1] ?? 1)))
}

/** Checks that every row of a list column has the shape of the first, level by level. */
export class RowChecker {
  private readonly expected: Uint8Array
  private readonly size: number
  /** Position in the row. */
  private at = 0
  /** Rows that are complete. */
  rows = 0

  constructor(
    private readonly where: string,
    private readonly shape: readonly number[],
  ) {
    this.size = elementCount(shape)
    this.expected = expectedLevels(shape, this.size)
  }

  /** @throws DataError that names the first row whose lengths differ */
  take(level: number): void {
    if (level !== this.expected[this.at]) throw this.ragged(level)
    this.at += 1
    if (this.at < this.size) return
    this.at = 0
    this.rows += 1
  }

  private ragged(level: number): DataError {
    const longer = this.at === 0 && level !== 0
    const row = longer ? this.rows - 1 : this.rows
    return new DataError(
      `${this.where}: row ${row} is not ${formatShape(this.shape)} as row 0 is (${this.fault(longer, level)}); ${RAGGED}`,
    )
  }

  private fault(longer: boolean, level: number): string {
    if (longer) return `more than ${this.size} values`
    return level === 0 ? `${this.at} values` : `a list of another length at its value ${this.at}`
  }
}

/** What to do about lists of different lengths. */
export const RAGGED = 'lists of different lengths make no array: pad or cut them to one length'

function expectedLevels(shape: readonly number[], size: number): Uint8Array {
  const levels = new Uint8Array(size)
  for (let at = 1; at < size; at += 1) {
    let inner = size
    let level = 1
    for (const length of shape) {
      inner /= length
      if (at % inner === 0) break
      level += 1
    }
    levels[at] = level
  }
  return levels
}
