import { DeviceError, UsageError } from '../../errors.js'
import { builtFor, missingLibrary, THIS_MACHINE } from './build.js'
import type { Machine } from './build.js'
import { DEVICE_CHOICES } from './names.js'
import type { Device, DeviceChoice } from './names.js'
import { probe } from './probe.js'
import type { ProbeResult, ProbeSuccess } from './probe.js'
import { knownObstacle, setupCommand } from './why-not.js'
import type { Obstacle } from './why-not.js'

/** The device that a run computes on. */
export interface ChosenDevice {
  readonly device: Device
  /** Name of the adapter, where it is known. */
  readonly adapter?: string
  /** What the user should know of the choice. */
  readonly notes?: readonly string[]
}

/** `webgpu (NVIDIA H200)`. */
export function deviceName({ device, adapter }: Pick<ChosenDevice, 'device' | 'adapter'>): string {
  return adapter === undefined ? device : `${device} (${adapter})`
}

/** `auto` takes a device whose gradients are no farther from the CPU's, relative to the largest: what float32 gives. */
export const CLOSE_ENOUGH = 1e-4
/** One that is asked for by name may be less exact (float16, TF32), which is said; beyond this it is wrong. */
export const USABLE = 2e-2

/** What choosing asks of the world; tests ask something else. */
export interface World {
  readonly machine: Machine
  readonly probe: (device: Device) => Promise<ProbeResult>
}

const probes = new Map<Device, Promise<ProbeResult>>()

/** Tries a device once per process: what it answers does not change. */
export function probeOnce(device: Device): Promise<ProbeResult> {
  const known = probes.get(device) ?? probe(device)
  probes.set(device, known)
  return known
}

const REAL: World = { machine: THIS_MACHINE, probe: probeOnce }

/**
 * Chooses the device: the one that is named, or the best that passes its probe. Where the machine has no sign of a GPU,
 * `auto` takes the CPU without a probe.
 *
 * @throws DeviceError with reason and remedy where the one that is named can't be had
 * @throws UsageError for a name that is none
 */
export async function chooseDevice(choice: DeviceChoice, world: World = REAL): Promise<ChosenDevice> {
  if (!DEVICE_CHOICES.includes(choice))
    throw new UsageError(
      `--device ${choice}: there is no such device; one of ${DEVICE_CHOICES.join(', ')} is needed`,
    )
  if (choice === 'cpu') return { device: 'cpu' }
  return choice === 'auto' ? bestDevice(world) : namedDevice(choice, world)
}

async function namedDevice(device: Device, world: World): Promise<ChosenDevice> {
  const known = knownObstacle(device, world.machine)
  const result = known === undefined ? await world.probe(device) : { obstacle: known }
  if ('obstacle' in result) throw new DeviceError(`--device ${device}: ${sentence(result.obstacle)}`)
  // a comparison the other way round would let NaN pass
  if (!(result.error <= USABLE))
    throw new DeviceError(
      `--device ${device}: its numbers are wrong: a small gradient is ${percentOff(result)} off the CPU's; update its driver, or use --device cpu`,
    )
  return chosen(device, result, remarks(device, result))
}

async function bestDevice({ machine, probe: tryDevice }: World): Promise<ChosenDevice> {
  const notes: string[] = []
  for (const device of autoOrder(machine)) {
    const result = await tryDevice(device)
    const refusal = refusalOf(device, result)
    if (refusal === undefined) return chosen(device, result as ProbeSuccess, notes)
    notes.push(refusal)
  }
  const unused = unusedNvidia(machine)
  return { device: 'cpu', notes: unused === undefined ? notes : [unused, ...notes] }
}

/** Why `auto` does not take a device that was tried; undefined where it does. */
function refusalOf(device: Device, result: ProbeResult): string | undefined {
  if ('obstacle' in result) return `${device} was not taken: ${sentence(result.obstacle)}`
  const { adapter, error } = result
  if (adapter.software)
    return `${device} was not taken: its adapter, ${adapter.name ?? 'unnamed'}, is a program on the CPU`
  return error <= CLOSE_ENOUGH
    ? undefined
    : `${device} was not taken: a small gradient is ${percentOff(result)} off the CPU's`
}

/** Devices that are worth a probe, best first: those that the machine shows a sign of. */
export function autoOrder(machine: Machine): Device[] {
  const { platform } = machine
  const native: readonly Device[] =
    platform === 'win32' ? ['directml'] : platform === 'darwin' ? ['coreml'] : []
  const order: readonly Device[] = ['cuda', ...native, 'webgpu']
  return order.filter((device) => builtFor(machine).includes(device) && hasSigns(device, machine))
}

/** Devices files of NVIDIA's driver, and of Microsoft's in Windows Subsystem for Linux. */
const NVIDIA_FILES = ['/dev/nvidiactl', '/dev/dxg']
/** The folder of Linux' graphics devices. */
const GRAPHICS_FILES = ['/dev/dri', ...NVIDIA_FILES]

function hasSigns(device: Device, machine: Machine): boolean {
  const { platform, exists } = machine
  if (device === 'cuda') return missingLibrary('cuda', machine) === undefined && NVIDIA_FILES.some(exists)
  return platform !== 'linux' || GRAPHICS_FILES.some(exists)
}

/** An NVIDIA GPU that lies idle for want of a library. */
function unusedNvidia(machine: Machine): string | undefined {
  const fetchable = builtFor(machine).includes('cuda') && missingLibrary('cuda', machine) !== undefined
  return fetchable && machine.exists('/dev/nvidiactl')
    ? `there is an NVIDIA GPU, but ONNX Runtime's library for CUDA is not installed: ${setupCommand()}`
    : undefined
}

function chosen(device: Device, { adapter }: ProbeSuccess, notes: readonly string[]): ChosenDevice {
  return { device, ...(adapter.name !== undefined && { adapter: adapter.name }), notes }
}

function remarks(device: Device, result: ProbeSuccess): string[] {
  const { adapter, error } = result
  return [
    ...(adapter.software
      ? [
          `${device} computes on ${adapter.name ?? 'an adapter'}, which is a program on the CPU: --device cpu is quicker`,
        ]
      : []),
    ...(error > CLOSE_ENOUGH
      ? [`on ${device} a small gradient is ${percentOff(result)} off the CPU's: residuals will be larger`]
      : []),
  ]
}

function sentence({ reason, remedy }: Obstacle): string {
  return remedy === undefined ? reason : `${reason}; ${remedy}`
}

function percentOff({ error }: ProbeSuccess): string {
  return Number.isNaN(error) ? 'not a number, which is infinitely far' : `${(100 * error).toPrecision(2)} %`
}
