import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { libraryFolder } from '../../src/engines/devices/build.js'
import { NO_ADAPTER } from '../engines/devices/swiftshader.js'
import { withoutOnnxRuntime } from '../support/without-onnxruntime.js'
import { newFolder, removeFolders, retrograd, runArguments } from './command.js'

/** A run on a device; what it says and how it ends. */
async function runOn(device: string, env: Readonly<Record<string, string>> = {}) {
  const out = join(newFolder(), 'out')
  const outcome = await retrograd(runArguments({ out, device }), { env })
  expect(existsSync(out)).to.equal(false)
  const [last = ''] = outcome.stderr.trimEnd().split('\n').slice(-1)
  return { status: outcome.status, last }
}

const LINUX = process.platform === 'linux' && process.arch === 'x64'
const CUDA_INSTALLED = existsSync(join(libraryFolder(), 'libonnxruntime_providers_cuda.so'))

describe('retrograd run --device', () => {
  after(removeFolders)

  it('ends with exit code 3 where ONNX Runtime does not load, on every device', async () => {
    for (const device of LINUX ? ['cpu', 'webgpu'] : ['cpu']) {
      const { status, last } = await runOn(device, withoutOnnxRuntime())
      expect(status).to.equal(3)
      expect(last).to.match(
        /^retrograd: .*ONNX Runtime 1\S+ does not load on \S+: libonnxruntime.* no such library; install it again \(npm install onnxruntime-node@1\S+\), or use --engine tfjs$/,
      )
    }
  })

  it('refuses a name that is none', async () => {
    const { status, last } = await runOn('gpu')
    expect(status).to.equal(2)
    expect(last).to.match(/Argument: device, Given: "gpu", Choices: "auto", "cpu", "cuda"/)
  })

  it('refuses a device that this platform has no provider for', async () => {
    const { status, last } = await runOn(process.platform === 'darwin' ? 'directml' : 'coreml')
    expect(status).to.equal(3)
    expect(last).to.match(
      /^retrograd: --device \w+: ONNX Runtime's package for \S+ \S+ has no provider for it/,
    )
  })

  if (LINUX) {
    it('refuses webgpu where there is no adapter', async () => {
      const { status, last } = await runOn('webgpu', NO_ADAPTER)
      expect(status).to.equal(3)
      expect(last).to.match(
        /^retrograd: --device webgpu: no graphics adapter was found; install the Vulkan driver/,
      )
    })

    it('refuses cuda where a library is missing, ONNX Runtime’s own or NVIDIA’s', async () => {
      // where all of CUDA is installed an empty list of devices takes the GPU away
      const { status, last } = await runOn('cuda', { CUDA_VISIBLE_DEVICES: '' })
      expect(status).to.equal(3)
      expect(last).to.match(
        CUDA_INSTALLED
          ? /^retrograd: --device cuda: (lib\S+ \(.*\) can't be found; install|there is no NVIDIA GPU|NVIDIA's driver)/
          : /^retrograd: --device cuda: the library libonnxruntime_providers_cuda\.so is not installed; fetch it: npm run setup:cuda$/,
      )
    })
  }
})
