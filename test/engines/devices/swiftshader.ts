import { existsSync } from 'node:fs'

/** Chromium's software renderer as Debian's package has it: a Vulkan driver that needs no GPU. */
const DRIVER = process.env.RETROGRAD_TEST_VULKAN_DRIVER ?? '/usr/lib/chromium/vk_swiftshader_icd.json'
const LOADERS = [
  '/usr/lib/x86_64-linux-gnu/libvulkan.so.1',
  '/usr/lib64/libvulkan.so.1',
  '/usr/lib/libvulkan.so.1',
]

/** The environment of a process that is to have SwiftShader for an adapter. */
export const SWIFTSHADER = { VK_DRIVER_FILES: DRIVER } as const

/** And of one that is to have no adapter at all. */
export const NO_ADAPTER = { VK_DRIVER_FILES: '/nonexistent/driver.json' } as const

function whyNot(): string | undefined {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    return 'SwiftShader is looked for on Linux x64 only'
  if (!existsSync(DRIVER))
    return `no ${DRIVER}: install Chromium, or name the file in RETROGRAD_TEST_VULKAN_DRIVER`
  return LOADERS.some((path) => existsSync(path)) ? undefined : 'no Vulkan loader: install libvulkan1'
}

/** A suite that computes on WebGPU; where there is no driver for it the suite is skipped and its title says so. */
export function describeWithWebgpu(title: string, body: (this: Mocha.Suite) => void): void {
  const reason = whyNot()
  if (reason === undefined) describe(title, body)
  else
    describe(`${title} [skipped: ${reason}]`, () => {
      it.skip('needs SwiftShader')
    })
}

/** Runs with SwiftShader in this process' environment, which child processes inherit. */
export async function withVulkanDriver<T>(work: () => Promise<T>): Promise<T> {
  const before = process.env.VK_DRIVER_FILES
  process.env.VK_DRIVER_FILES = DRIVER
  try {
    return await work()
  } finally {
    if (before === undefined) delete process.env.VK_DRIVER_FILES
    else process.env.VK_DRIVER_FILES = before
  }
}
