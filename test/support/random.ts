/** Numbers that look random and are the same in every run (mulberry32, seeded from a text by FNV-1a). */
export class Random {
  private state: number

  constructor(seed: string) {
    this.state = 0x811c9dc5
    for (const char of seed) this.state = Math.imul(this.state ^ char.codePointAt(0)!, 0x01000193)
  }

  /** A number from 0 up to, not including, 1. */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) | 0
    let bits = Math.imul(this.state ^ (this.state >>> 15), this.state | 1)
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61)
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32
  }

  uniform(count: number, low: number, high: number): number[] {
    return Array.from({ length: count }, () => low + (high - low) * this.next())
  }

  /** The numbers 0 to count - 1 in some order. */
  permutation(count: number): number[] {
    const order = Array.from({ length: count }, (_, i) => i)
    for (let i = count - 1; i > 0; i -= 1) {
      const other = Math.floor(this.next() * (i + 1))
      ;[order[i], order[other]] = [order[other]!, order[i]!]
    }
    return order
  }
}
