import { fileURLToPath } from 'node:url'
import { join } from 'node:path'
import { printable } from '../../printable.js'
import { builtFor, missingLibrary, THIS_MACHINE } from './build.js'
import type { Machine } from './build.js'
import type { Device } from './names.js'

/** Why a device can't be had, and what helps where something does. */
export interface Obstacle {
  readonly reason: string
  readonly remedy?: string
}

const PLATFORMS: Partial<Readonly<Record<NodeJS.Platform, string>>> = {
  linux: 'Linux',
  win32: 'Windows',
  darwin: 'macOS',
}

/** Where a device's provider exists, for those who ask for it elsewhere. */
const HOMES: Readonly<Record<Device, string>> = {
  cpu: 'everywhere',
  cuda: 'on Linux with x64 processors',
  tensorrt: 'on Linux with x64 processors',
  webgpu: 'on Windows, macOS, and Linux with x64 processors',
  directml: 'on Windows',
  coreml: 'on macOS with Apple silicon',
}

/** The command that fetches CUDA's provider; the package's users have no checkout to run `npm run setup:cuda` in. */
export function setupCommand(path = fileURLToPath(import.meta.url)): string {
  return /[\\/]node_modules[\\/]/.test(path)
    ? `node ${join('node_modules', 'retrograd', 'dist', 'bin', 'setup-cuda.js')}`
    : 'npm run setup:cuda'
}

/** What stands against a device and can be told without trying it; undefined where nothing does. */
export function knownObstacle(device: Device, machine: Machine = THIS_MACHINE): Obstacle | undefined {
  const built = builtFor(machine)
  if (!built.includes(device)) {
    const platform = `${PLATFORMS[machine.platform] ?? machine.platform} ${machine.arch}`
    return {
      reason: `ONNX Runtime's package for ${platform} has no provider for it (there is one ${HOMES[device]})`,
      remedy: `here there are ${built.join(', ')}`,
    }
  }
  const library = missingLibrary(device, machine)
  return library === undefined
    ? undefined
    : { reason: `the library ${library} is not installed`, remedy: `fetch it: ${setupCommand()}` }
}

/** Reads what ONNX Runtime and its libraries said when a device was tried. */
export function whyNot(
  device: Device,
  { failure, backends }: { readonly failure: string; readonly backends?: readonly string[] },
  log: string,
): Obstacle {
  if (backends !== undefined) return { reason: `this build of ONNX Runtime has only ${backends.join(', ')}` }
  return (
    missingDependency(device, log) ??
    missingAdapter(device, failure) ??
    missingGpu(failure + log) ?? {
      reason: NOT_FIT.exec(log)?.[1] ?? firstLine(failure),
    }
  )
}

/** How dlopen says anything else of a library: that it is of another version, or no library. */
const NOT_FIT = /Failed to load library \S+ with error: ([^\n]{1,400})/

/** How dlopen says that a library is not there, as ONNX Runtime passes it on. */
const NOT_LOADED =
  /Failed to load library (\S+) with error: ([^\s:]+\.so[^\s:]*): cannot open shared object file/

function missingDependency(device: Device, log: string): Obstacle | undefined {
  const [, library = '', dependency = ''] = NOT_LOADED.exec(log) ?? []
  if (dependency === '') return undefined
  if (dependency === library || dependency.includes('libonnxruntime_providers'))
    return {
      reason: `the library ${dependency.split('/').at(-1)!} is not installed`,
      remedy: `fetch it: ${setupCommand()}`,
    }
  const needed = requirementOf(dependency)
  return {
    reason: `${dependency}${needed === undefined ? '' : ` (${needed})`} can't be found`,
    remedy: `${needed === undefined ? 'install it' : `install ${needed}`}, or name its folder in LD_LIBRARY_PATH; ${
      device === 'tensorrt' ? 'docs/gpu.md says versions' : `what is missing: ${setupCommand()}`
    }`,
  }
}

/** Which product a library of NVIDIA's comes with. */
function requirementOf(library: string): string | undefined {
  const version = /\.so\.(\d+)/.exec(library)?.[1]
  if (library.startsWith('libcudnn')) return `cuDNN ${version ?? '9'}`
  if (library.startsWith('libnvinfer') || library.startsWith('libnvonnx'))
    return `TensorRT ${version ?? '10'}`
  if (library.startsWith('libcuda.')) return "NVIDIA's driver"
  if (/^lib(cudart|cublas|cublasLt)\./.test(library)) return `CUDA ${version ?? '12'}`
  return /^lib(cufft|curand|cusparse|nvrtc)\b/.test(library) ? 'CUDA' : undefined
}

function missingAdapter(device: Device, failure: string): Obstacle | undefined {
  if (device !== 'webgpu' || !/WebGPU adapter|No supported adapters/i.test(failure)) return undefined
  const remedies: Partial<Record<NodeJS.Platform, string>> = {
    linux:
      'install the Vulkan driver of the GPU and the loader (libvulkan1); vulkaninfo --summary shows what the loader finds, and VK_DRIVER_FILES may name a driver',
    win32: "install the GPU's driver (Direct3D 12)",
  }
  return {
    reason: 'no graphics adapter was found',
    remedy: remedies[process.platform] ?? 'a GPU with its driver is needed',
  }
}

function missingGpu(text: string): Obstacle | undefined {
  const remedy = 'see whether nvidia-smi lists a GPU; docs/gpu.md says which driver CUDA needs'
  if (/no CUDA-capable device|CUDA failure 100\b/i.test(text))
    return { reason: 'there is no NVIDIA GPU that CUDA can use', remedy }
  return /driver version is insufficient|CUDA failure 35\b/i.test(text)
    ? { reason: "NVIDIA's driver is missing or too old for this CUDA", remedy }
    : undefined
}

/** A message's first line, up to where it becomes unreadable. */
function firstLine(failure: string): string {
  return printable(failure.trim().split('\n')[0]!.slice(0, 400))
}
