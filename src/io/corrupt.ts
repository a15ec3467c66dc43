import type { RetrogradError } from '../errors.js'

/**
 * The class that a reader throws for a bad file. Low-level readers serve checkpoints, data and models alike, so
 * who opens a file says which error its faults are.
 */
export type ErrorClass = new (message: string) => RetrogradError
