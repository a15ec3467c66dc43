import { readdirSync, readFileSync } from 'node:fs'
import { printable } from '../../printable.js'
import type { Device } from './names.js'

/** What computes behind a device's provider. */
export interface Adapter {
  /** As its driver calls it; undefined where nothing tells. */
  readonly name?: string
  /** Whether it is a program that computes on the CPU what a GPU would. */
  readonly software: boolean
}

/** Renderers without hardware: of Chromium, of Mesa, of Windows. */
const SOFTWARE = /swiftshader|llvmpipe|lavapipe|softpipe|microsoft basic render|\bwarp\b/i

/** What the Vulkan loader says with VK_LOADER_DEBUG=driver when a device is made. */
const VULKAN_DEVICE = /Using "([^"\n]+)" with driver: "([^"\n]+)"/g

/** How ONNX Runtime says, at the level `info`, what hardware it has found; type 1 is a GPU. */
const FOUND_GPU = /OrtHardwareDevice \{vendor_id:0x([0-9a-f]+),[^}\n]*vendor:([^,}\n]*), type:1\b([^}\n]*)\}/g

const VENDORS: Readonly<Record<string, string>> = {
  '10de': 'NVIDIA',
  '1002': 'AMD',
  '8086': 'Intel',
  '106b': 'Apple',
  '5143': 'Qualcomm',
  '13b5': 'ARM',
}

/** The environment that makes a process' Vulkan loader name the driver it takes. */
export const ADAPTER_ENVIRONMENT = { VK_LOADER_DEBUG: 'driver' } as const

/**
 * Which adapter a process has computed on, from what its libraries wrote to stderr: neither ONNX Runtime's Node binding nor
 * its log says which one WebGPU took.
 */
export function adapterOf(
  device: Device,
  log: string,
  platform: NodeJS.Platform = process.platform,
  nvidia: () => string | undefined = nvidiaName,
): Adapter {
  const { name, software } = foundAdapter(device, log, platform, nvidia)
  return { ...(name !== undefined && { name: printable(name) }), software }
}

function foundAdapter(
  device: Device,
  log: string,
  platform: NodeJS.Platform,
  nvidia: () => string | undefined,
): { readonly name?: string | undefined; readonly software: boolean } {
  if (device === 'cpu') return { software: false }
  const gpus = [...log.matchAll(FOUND_GPU)].map(([, id = '', vendor = '', metadata = '']) => ({
    vendor: VENDORS[id] ?? vendor.trim(),
    name: /Description=([^,\]]+)/.exec(metadata)?.[1]?.trim(),
  }))
  if (device === 'cuda' || device === 'tensorrt') {
    const name = nvidia() ?? gpus.find(({ vendor }) => vendor === 'NVIDIA')?.name
    return { name, software: false }
  }
  const [, vulkan, driver = ''] = [...log.matchAll(VULKAN_DEVICE)].at(-1) ?? []
  if (vulkan !== undefined) return { name: vulkan, software: SOFTWARE.test(`${vulkan} ${driver}`) }
  const name = gpus[0]?.name ?? (gpus[0] && `${gpus[0].vendor} GPU`)
  // Metal drives hardware only; elsewhere an adapter that the system does not list is a program
  return { name, software: gpus.length === 0 && platform !== 'darwin' }
}

const NVIDIA_CARDS = '/proc/driver/nvidia/gpus'

/** The name of the first NVIDIA GPU, as its Linux driver says. */
function nvidiaName(): string | undefined {
  try {
    const [card] = readdirSync(NVIDIA_CARDS)
    return /^Model:\s*(.+)$/m.exec(readFileSync(`${NVIDIA_CARDS}/${card!}/information`, 'utf8'))?.[1]?.trim()
  } catch {
    return undefined
  }
}
