/** Rows of strings as runs of equal ones: most columns of strings say the same in many rows. */
export class Runs {
  readonly values: string[] = []
  readonly lengths: number[] = []
  /** Number of rows. */
  length = 0

  append(value: string, count: number): void {
    if (count <= 0) return
    const last = this.values.length - 1
    if (this.values[last] === value) this.lengths[last]! += count
    else {
      this.values.push(value)
      this.lengths.push(count)
    }
    this.length += count
  }
}

/** Rows that all hold one number. */
export interface Constant {
  readonly constant: number
  readonly length: number
}
