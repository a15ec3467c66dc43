import { mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { diskError } from '../../tables/disk-error.js'

/** Element type of the files that hold weights: that of the widest tensor of the checkpoints. */
export type WeightElements = 'float32' | 'float64'

/**
 * The folder in which a replay keeps arrays as large as the parameters: weights of the checkpoints at hand, gradients
 * and LCA (float64). Processes share them through it, and a run that was stopped finds them again.
 */
export class ReplayStore {
  constructor(readonly folder: string) {}

  make(): void {
    try {
      mkdirSync(this.folder, { recursive: true })
    } catch (error) {
      throw diskError(this.folder, error)
    }
  }

  path(name: string): string {
    return join(this.folder, name)
  }

  remove(...names: readonly string[]): void {
    for (const name of names) rmSync(this.path(name), { force: true })
  }

  rename(from: string, to: string): void {
    try {
      renameSync(this.path(from), this.path(to))
    } catch (error) {
      throw diskError(this.path(to), error)
    }
  }

  /** Removes every file but these. */
  keepOnly(names: ReadonlySet<string>): void {
    for (const name of readdirSync(this.folder))
      if (!names.has(name)) rmSync(this.path(name), { recursive: true, force: true })
  }
}

/** The names of files, by checkpoint or interval and by the split's index. */
export const fileNames = {
  weights: (checkpoint: number) => `weights-${checkpoint}`,
  gradient: (checkpoint: number, split: number) => `gradient-${checkpoint}-${split}`,
  lca: (interval: number, split: number) => `lca-${interval}-${split}`,
  sum: (interval: number, split: number, sum: number) => `sum-${interval}-${split}-${sum}`,
  point: (interval: number, split: number, point: number) => `point-${interval}-${split}-${point}`,
  noise: (split: number) => `noise-${split}`,
  /** The sum over the first so many blocks of samples, and that of one of them. */
  fisher: (split: number, blocks: number) => `fisher-${split}-${blocks}`,
  fisherBlock: (split: number, block: number) => `fisher-block-${split}-${block}`,
  block: (intervals: number) => `block-${intervals}`,
  totals: (intervals: number) => `totals-${intervals}`,
} as const
