/** A point of the segment, and with which weight its gradient goes into each of the sums that are new at its level. */
export interface RulePoint {
  readonly a: number
  readonly into: readonly number[]
}

/** What one level of refinement adds, and how everything so far combines: coefficients of [start, end, all sums so far]. */
export interface Level {
  readonly splits: number
  readonly sums: number
  readonly points: readonly RulePoint[]
  readonly integral: readonly number[]
  readonly compared: readonly (readonly number[])[]
}

/** What a rule is asked after a level. */
export interface Question {
  readonly index: number
  /** By split: LCA of every tensor by the level's combinations (integral first), and the residual of the first. */
  readonly splits: readonly { readonly tensors: readonly (readonly number[])[]; readonly residual: number }[]
  readonly tolerance: number
  readonly restricted: boolean
  readonly noiseFloor: () => Promise<number>
  readonly calibration: unknown
}

export interface Judgement {
  readonly converged: boolean
  /** Whether more splits would be in vain. */
  readonly stop: boolean
  /** What was held against the tolerance. */
  readonly error: number
  readonly estimate?: number
  readonly calibration?: unknown
}

export interface Rule {
  readonly name: string
  level(index: number): Level
  judge(question: Question): Promise<Judgement>
  calibratedBy?(interval: number): number | undefined
}
