import { builtFor, THIS_MACHINE } from './build.js'
import { chooseDevice, probeOnce, USABLE } from './choose.js'
import { DEVICES } from './names.js'
import type { Device } from './names.js'
import type { ProbeResult } from './probe.js'
import { knownObstacle } from './why-not.js'
import type { Obstacle } from './why-not.js'

/** What is to be said of a device: how it did, or why it can't be had. */
export interface DeviceReport {
  readonly device: Device
  readonly available: boolean
  readonly reason?: string
  readonly remedy?: string
  readonly adapter?: string
  /** Whether the adapter is a program that computes on the CPU. */
  readonly software?: boolean
  /** Largest difference of a small gradient to the CPU's, relative to the largest number. */
  readonly error?: number
  /** Milliseconds of that gradient, after the first. */
  readonly ms?: number
  readonly nodes?: number
  readonly nodesOnDevice?: number
}

export interface Survey {
  readonly devices: readonly DeviceReport[]
  /** What `--device auto` takes. */
  readonly auto: Device
}

/** Tries every device, one after another so that they don't slow each other down. */
export async function surveyDevices(
  onProgress: (done: number, total: number) => void = () => undefined,
  tryDevice: (device: Device) => Promise<ProbeResult> = probeOnce,
): Promise<Survey> {
  const devices: DeviceReport[] = []
  for (const [done, device] of DEVICES.entries()) {
    onProgress(done, DEVICES.length)
    const obstacle = knownObstacle(device)
    devices.push(
      obstacle === undefined
        ? reportOf(device, await tryDevice(device))
        : { device, available: false, ...withoutOthers(device, obstacle) },
    )
  }
  return { devices, auto: (await chooseDevice('auto')).device }
}

/** Where a device has no provider, which others there are stands in the same list. */
function withoutOthers(device: Device, obstacle: Obstacle): Obstacle {
  return builtFor(THIS_MACHINE).includes(device) ? obstacle : { reason: obstacle.reason }
}

/** What a probe's result says of a device. */
export function reportOf(device: Device, result: ProbeResult): DeviceReport {
  if ('obstacle' in result) return { device, available: false, ...result.obstacle }
  const { adapter, error, ms, placement } = result
  // a comparison the other way round would let NaN pass
  const available = error <= USABLE
  return {
    device,
    available,
    ...(!available && { reason: "its numbers are wrong: they are not near the CPU's" }),
    ...(adapter.name !== undefined && { adapter: adapter.name }),
    ...(adapter.software && { software: true }),
    error,
    ms,
    ...(placement && { nodes: placement.nodes, nodesOnDevice: placement.onDevice }),
  }
}
