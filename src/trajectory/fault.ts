import type { RetrogradError } from '../errors.js'

/** What is wrong with an archive, of the kinds that keep it from being a trajectory. */
export type FaultKind = 'unreadable' | 'mixed-formats' | 'order' | 'shapes'

/** Is told of a fault: opening a trajectory throws it, inspecting one lists it and goes on. */
export type OnFault = (kind: FaultKind, error: RetrogradError, path: string) => void
