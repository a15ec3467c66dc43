/** A data set that the loss is averaged over, in the order of the tables' rows. */
export interface ReplaySplit {
  readonly name: string
  readonly samples: number
  /** Where they are a random sample, in groups: of so many. */
  readonly population?: number
}
