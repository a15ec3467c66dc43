import { availableParallelism, freemem } from 'node:os'
import type { Device, DeviceChoice } from '../../engines/devices/names.js'
import { UsageError } from '../../errors.js'

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
  readonly device?: Device
}

/**
 * How many workers, and how many threads each: one thread for each of as many workers as there are cores and memory for.
 * Where a network is so large that memory is for one engine only, that one takes all cores. Devices have one engine: each
 * holds parameters and values in the device's memory, and the device computes for one after the other anyway.
 */
export function sizing(
  needs: SizingNeeds,
  machine = { cores: availableParallelism(), freeBytes: freemem() },
): Sizing {
  const { parameters, dataBytes } = needs
  const large = parameters >= LARGE_PARAMETERS
  const one = large || (needs.device ?? 'cpu') !== 'cpu'
  const each = workerBytes(parameters, Math.min(dataBytes, KEPT_BYTES / machine.cores))
  const fitting = Math.max(
    1,
    Math.min(machine.cores, Math.floor((SHARE_OF_MEMORY * machine.freeBytes) / each)),
  )
  const workers = needs.workers ?? (one ? 1 : fitting)
  const threads = needs.threads ?? (large ? machine.cores : 1)
  return { workers, threads, keepBytes: Math.floor(KEPT_BYTES / workers) }
}

/** Memory of one worker, in bytes, that keeps so much of the data. */
export function workerBytes(parameters: number, keptBytes: number): number {
  return WORKER_BYTES + WORKER_COPIES * Float32Array.BYTES_PER_ELEMENT * parameters + keptBytes
}

/** Devices that several processes may share, if that is asked for: the others have one owner. */
const SHARED_DEVICES: readonly Device[] = ['cpu', 'cuda', 'tensorrt']

/**
 * The number of workers that is asked for, as far as the device allows.
 * @param choice what device was asked for: one that was found (`auto`) takes one worker rather than none
 * @throws UsageError where a device that is asked for by name can't have so many
 */
export function askedWorkers(
  workers: number | undefined,
  { device, choice }: { readonly device: Device; readonly choice: DeviceChoice },
  note: (text: string) => void,
): number | undefined {
  if (workers === undefined || workers === 1 || SHARED_DEVICES.includes(device)) return workers
  const why = `${device} computes in one process`
  if (choice !== 'auto') throw new UsageError(`--workers ${workers}: ${why}; leave the option out`)
  note(`--workers ${workers} has no effect: ${why}`)
  return 1
}
