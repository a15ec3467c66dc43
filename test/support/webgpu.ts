import { fork, spawnSync } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { SplitData } from '../../src/engines/engine.js'
import type { GradientProgram } from '../../src/engines/program.js'

/** Where Debian's package chromium has the description of its Vulkan driver that computes on the CPU. */
const SWIFTSHADER = '/usr/lib/chromium/vk_swiftshader_icd.json'

const CHILD = fileURLToPath(new URL('./webgpu-child.js', import.meta.url))

/** The environment in which Vulkan finds a driver: the one that is named, or chromium's; undefined without either. */
export function vulkanEnvironment(): NodeJS.ProcessEnv | undefined {
  const driver = process.env.VK_DRIVER_FILES ?? (existsSync(SWIFTSHADER) ? SWIFTSHADER : undefined)
  return driver === undefined ? undefined : { ...process.env, VK_DRIVER_FILES: driver }
}

/** A gradient graph and what it is to be evaluated on. */
export interface DeviceTask {
  /** The graph's ONNX file. */
  readonly model: Uint8Array
  readonly program: GradientProgram
  readonly parameters: ReadonlyMap<string, Float32Array>
  readonly split: SplitData
  /** Samples of a micro-batch. */
  readonly size: number
}

export interface DeviceResult {
  readonly loss: number
  readonly gradients: ReadonlyMap<string, Float64Array>
  readonly description: string
}

export type FromChild = DeviceResult | { readonly failure: string }

/** Why WebGPU can't be had here; undefined where it can. */
function obstacle(): string | undefined {
  const env = vulkanEnvironment()
  if (env === undefined) return `no Vulkan driver: neither VK_DRIVER_FILES nor ${SWIFTSHADER}`
  const { status, stderr, error } = spawnSync(process.execPath, [CHILD, 'probe'], { env, encoding: 'utf8' })
  if (status === 0) return undefined
  return error?.message ?? stderr.trim().split('\n').at(-1) ?? `the probe ended with ${status}`
}

/**
 * A suite that needs a WebGPU adapter, be it one that computes on the CPU; where there is none, the suite is skipped and
 * its title says why. A process of its own holds all sessions: `evaluate` computes there, one task after the other, and
 * allows no node on the CPU's provider.
 */
export function describeWithWebGpu(
  title: string,
  body: (evaluate: (task: DeviceTask) => Promise<DeviceResult>) => void,
): void {
  const why = obstacle()
  if (why !== undefined) {
    describe(`${title} [skipped: ${why}]`, () => {
      it.skip('needs a WebGPU adapter')
    })
    return
  }
  describe(title, () => {
    let child: ChildProcess
    before(() => {
      child = fork(CHILD, [], { env: vulkanEnvironment(), serialization: 'advanced' })
    })
    after(() => {
      child.disconnect()
    })
    body((task) => ask(child, task))
  })
}

function ask(child: ChildProcess, task: DeviceTask): Promise<DeviceResult> {
  return new Promise((resolve, reject) => {
    const died = (): void => {
      reject(new Error('the process that computes on WebGPU died'))
    }
    child.once('exit', died)
    child.once('message', (message: FromChild) => {
      child.off('exit', died)
      if ('failure' in message) reject(new Error(message.failure))
      else resolve(message)
    })
    child.send(task)
  })
}
