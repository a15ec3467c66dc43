import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type { Device } from './names.js'

/**
 * Devices by platform that the packaged ONNX Runtime has a provider for, told without loading its libraries:
 * what `listSupportedBackends` of onnxruntime-node 1.30.0 says there.
 */
const BUILT: Readonly<Record<string, readonly Device[]>> = {
  'linux-x64': ['cpu', 'cuda', 'tensorrt', 'webgpu'],
  'linux-arm64': ['cpu'],
  'win32-x64': ['cpu', 'directml', 'webgpu'],
  'win32-arm64': ['cpu', 'directml', 'webgpu'],
  'darwin-arm64': ['cpu', 'coreml', 'webgpu'],
}

/** Libraries of providers that are too large for the package and are fetched by themselves. */
const FETCHED: Partial<Readonly<Record<Device, string>>> = {
  cuda: 'libonnxruntime_providers_cuda.so',
  tensorrt: 'libonnxruntime_providers_tensorrt.so',
}

/** What is asked of the machine; tests ask something else. */
export interface Machine {
  readonly platform: NodeJS.Platform
  readonly arch: string
  readonly exists: (path: string) => boolean
}

export const THIS_MACHINE: Machine = {
  platform: process.platform,
  arch: process.arch,
  exists: existsSync,
}

/** Devices that this platform's build of ONNX Runtime could drive. */
export function builtFor({ platform, arch }: Machine): readonly Device[] {
  return BUILT[`${platform}-${arch}`] ?? ['cpu']
}

/** The folder of ONNX Runtime's libraries. */
export function libraryFolder({ platform, arch }: Pick<Machine, 'platform' | 'arch'> = THIS_MACHINE): string {
  const root = dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'))
  return join(root, 'bin', 'napi-v6', platform, arch)
}

/** The name of a device's library that is still to be fetched; undefined where nothing is. */
export function missingLibrary(device: Device, machine: Machine = THIS_MACHINE): string | undefined {
  const name = FETCHED[device]
  return name === undefined || machine.exists(join(libraryFolder(machine), name)) ? undefined : name
}
