import { execFile } from 'node:child_process'
import { totalmem } from 'node:os'
import { promisify } from 'node:util'
import type { Device } from './names.js'

/** What may be used of a device's memory. */
export interface DeviceMemory {
  /** Bytes for all values together. */
  readonly bytes: number
  /** Bytes of one value at most, where that has a limit of its own. */
  readonly largestValue?: number
  /** Where the figure is from, as a user reads it: `8.0 GB free on the device`. */
  readonly source: string
}

/** What finding it out asks of the machine; tests ask something else. */
export interface MemoryWorld {
  /** Runs a program and gives what it prints; rejects where it is not there or fails. */
  readonly run: (program: string, args: readonly string[]) => Promise<string>
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly systemBytes: number
}

/** A driver that hangs is no reason to wait. */
const PATIENCE_MS = 10_000

const REAL: MemoryWorld = {
  run: async (program, args) => {
    const { stdout } = await promisify(execFile)(program, args, {
      timeout: PATIENCE_MS,
      killSignal: 'SIGKILL',
      windowsHide: true,
    })
    return stdout
  },
  environment: process.env,
  systemBytes: totalmem(),
}

/** Of the memory that is free, the rest being for what other programs take meanwhile and for what allocators waste. */
const SHARE = 0.75
/** What CUDA, cuDNN and cuBLAS take for themselves in a process. */
const CUDA_BYTES = 600 * 2 ** 20

/**
 * WebGPU, DirectML and Core ML tell nobody how much memory is free. An eighth of the machine's is what the smallest of
 * today's adapters have, and integrated ones share it; more than 1 GiB would gain little.
 */
const SHARE_OF_SYSTEM = 1 / 8
const MOST_OF_SYSTEM = 2 ** 30
/** The largest storage buffer that every WebGPU adapter must bind (maxStorageBufferBindingSize of the specification). */
const WEBGPU_BINDING_BYTES = 128 * 2 ** 20

/**
 * The memory of a device that one engine may fill.
 * @param limit bytes that the user allows at most
 * @returns undefined for the CPU, and where neither the device nor the user says anything
 */
export async function deviceMemory(
  device: Device,
  { limit, engines = 1 }: { readonly limit?: number | undefined; readonly engines?: number } = {},
  world: MemoryWorld = REAL,
): Promise<DeviceMemory | undefined> {
  if (device === 'cpu') return undefined
  const found = await ofDevice(device, world)
  const own = device === 'webgpu' ? { largestValue: WEBGPU_BINDING_BYTES } : {}
  if (limit !== undefined && limit < (found?.bytes ?? Infinity))
    return { bytes: limit / engines, ...own, source: `${inGigabytes(limit)} of --device-memory` }
  return found && { ...found, ...own, bytes: found.bytes / engines }
}

async function ofDevice(device: Device, world: MemoryWorld): Promise<DeviceMemory | undefined> {
  if (device === 'cuda' || device === 'tensorrt') {
    const free = await freeOnNvidia(world)
    if (free === undefined) return undefined
    const bytes = Math.max(0, SHARE * (free - CUDA_BYTES))
    return { bytes, source: `${inGigabytes(free)} free on the device` }
  }
  const bytes = Math.min(MOST_OF_SYSTEM, SHARE_OF_SYSTEM * world.systemBytes)
  return { bytes, source: `${inGigabytes(bytes)}, since ${device} does not tell what is free` }
}

/**
 * Free bytes of the GPU that CUDA takes first: the first of CUDA_VISIBLE_DEVICES, which nvidia-smi takes by number or
 * identifier too. Where it is not set CUDA begins with the fastest and nvidia-smi with the first on the bus, so that the one
 * with the least free memory is meant.
 */
async function freeOnNvidia({ run, environment }: MemoryWorld): Promise<number | undefined> {
  const [visible = ''] = (environment.CUDA_VISIBLE_DEVICES ?? '').split(',').map((name) => name.trim())
  const query = ['--query-gpu=memory.free,memory.total', '--format=csv,noheader,nounits']
  try {
    const text = await run('nvidia-smi', [...(visible === '' ? [] : [`--id=${visible}`]), ...query])
    return leastFree(text)
  } catch {
    return undefined
  }
}

/** The least of the first column, which is in MiB; undefined where a line is none of numbers (`[N/A]`). */
function leastFree(text: string): number | undefined {
  const lines = text.trim().split(/\r?\n/)
  const free = lines.map((line) => Number(/^\s*(\d+)\s*,\s*\d+\s*$/.exec(line)?.[1] ?? Number.NaN))
  const least = Math.min(...free)
  return Number.isFinite(least) ? least * 2 ** 20 : undefined
}

/** `8.0 GB`, `0.54 GB`, `3 MB`. */
function inGigabytes(bytes: number): string {
  if (bytes < 1e8) return `${(bytes / 1e6).toPrecision(2)} MB`
  return `${(bytes / 1e9).toFixed(bytes < 1e9 ? 2 : 1)} GB`
}
