import { availableParallelism, freemem } from 'node:os'

/** From this many parameters on an engine takes all cores: a second one would hold all of them again. */
export const LARGE_PARAMETERS = 1 << 24
/** What a worker process takes besides parameters and data: Node.js, ONNX Runtime, the values of a micro-batch. */
const WORKER_BYTES = 200 * 2 ** 20
/** Copies of the parameters (4 bytes each) that a worker holds: weights, gradient, and its sum in float64. */
const WORKER_COPIES = 5
/** Workers take at most this share of the memory that is free. */
const SHARE_OF_MEMORY = 0.75

/** Workers keep the data in memory up to this size together. */
const KEPT_BYTES = 2 ** 30

export interface Sizing {
  readonly workers: number
  /** Of each worker's engine. Results depend on it in their last bits. */
  readonly threads: number
  /** Bytes of data that each worker may keep in memory. */
  readonly keepBytes: number
}

/** What the number of workers depends on. */
export interface SizingNeeds {
  readonly parameters: number
  readonly dataBytes: number
  readonly workers?: number | undefined
  readonly threads?: number | undefined
}

/**
 * How many workers, and how many threads each: one thread for each of as many workers as there are cores and memory for.
 * Where a network is so large that memory is for one engine only, that one takes all cores.
 */
export function sizing(
  needs: SizingNeeds,
  machine = { cores: availableParallelism(), freeBytes: freemem() },
): Sizing {
  const { parameters, dataBytes } = needs
  const large = parameters >= LARGE_PARAMETERS
  const each = workerBytes(parameters, Math.min(dataBytes, KEPT_BYTES / machine.cores))
  const fitting = Math.max(
    1,
    Math.min(machine.cores, Math.floor((SHARE_OF_MEMORY * machine.freeBytes) / each)),
  )
  const workers = needs.workers ?? (large ? 1 : fitting)
  const threads = needs.threads ?? (large ? machine.cores : 1)
  return { workers, threads, keepBytes: Math.floor(KEPT_BYTES / workers) }
}

/** Memory of one worker, in bytes, that keeps so much of the data. */
export function workerBytes(parameters: number, keptBytes: number): number {
  return WORKER_BYTES + WORKER_COPIES * Float32Array.BYTES_PER_ELEMENT * parameters + keptBytes
}
