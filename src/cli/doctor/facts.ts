import { statfs } from 'node:fs/promises'
import { availableParallelism, cpus, freemem, release, tmpdir, totalmem } from 'node:os'
import type { Device } from '../../engines/devices/names.js'
import { surveyDevices } from '../../engines/devices/survey.js'
import type { DeviceReport } from '../../engines/devices/survey.js'
import { tfjsBackends } from '../../engines/tfjs/probe.js'
import type { TfjsBackendReport } from '../../engines/tfjs/probe.js'
import { ONNXRUNTIME_VERSION } from '../../engines/version.js'
import { VERSION } from '../../version.js'

/** Free and whole space of the disk that a folder lies on, in bytes. */
export interface Disk {
  readonly what: string
  readonly path: string
  /** Null where the system does not tell. */
  readonly free: number | null
  readonly total: number | null
}

/** One way to run an engine. */
export interface EngineReport {
  readonly name: string
  readonly available: boolean
  readonly version?: string
  readonly reason?: string
  readonly gpu?: boolean
  /** Version of TensorFlow's library behind a native binding. */
  readonly tensorflow?: string
}

/** What a bug report needs. */
export interface DoctorFacts {
  readonly retrograd: string
  readonly node: string
  readonly platform: string
  readonly system: string
  readonly onnxruntime: string
  readonly tfjs: string | null
  readonly cpu: string
  /** Threads that may run at once. */
  readonly cores: number
  readonly memory: { readonly free: number; readonly total: number }
  readonly disks: readonly Disk[]
  readonly devices: readonly DeviceReport[]
  readonly auto: Device
  readonly engines: readonly EngineReport[]
}

/** Looks at this machine; every device and library is tried in a process of its own. */
export async function doctorFacts(onProgress: (done: number, total: number) => void): Promise<DoctorFacts> {
  const { devices, auto } = await surveyDevices(onProgress)
  const backends = tfjsBackends()
  return {
    retrograd: VERSION,
    node: process.version,
    platform: `${process.platform}-${process.arch}`,
    system: release(),
    onnxruntime: ONNXRUNTIME_VERSION,
    tfjs: backends.find(({ version }) => version !== undefined)?.version ?? null,
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memory: { free: freemem(), total: totalmem() },
    disks: [await disk('current folder', process.cwd()), await disk('temporary files', tmpdir())],
    devices,
    auto,
    engines: engines(devices, backends),
  }
}

/** ONNX Runtime works where its CPU provider does. */
function engines(
  devices: readonly DeviceReport[],
  backends: readonly TfjsBackendReport[],
): readonly EngineReport[] {
  const { available = false, reason } = devices.find(({ device }) => device === 'cpu') ?? {}
  return [
    { name: 'onnxruntime', available, version: ONNXRUNTIME_VERSION, ...(reason !== undefined && { reason }) },
    ...backends.map(({ name, loads, version, reason: why, gpu, tensorflow }) => ({
      name: `tfjs, ${name}`,
      available: loads,
      ...(version !== undefined && { version }),
      ...(why !== undefined && { reason: why }),
      ...(gpu !== undefined && { gpu }),
      ...(tensorflow !== undefined && { tensorflow }),
    })),
  ]
}

async function disk(what: string, path: string): Promise<Disk> {
  try {
    const { bavail, blocks, bsize } = await statfs(path)
    return { what, path, free: bavail * bsize, total: blocks * bsize }
  } catch {
    return { what, path, free: null, total: null }
  }
}
