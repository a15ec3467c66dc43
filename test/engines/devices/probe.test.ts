import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { adapterOf } from '../../../src/engines/devices/adapter.js'
import type { Device } from '../../../src/engines/devices/names.js'
import { probe } from '../../../src/engines/devices/probe.js'
import { whyNot } from '../../../src/engines/devices/why-not.js'
import { newFolder, removeFolders } from '../../cli/command.js'

/** A program that answers, or doesn't, in a probe's stead. */
function program(text: string): string {
  const path = join(newFolder(), 'probe.mjs')
  writeFileSync(path, text)
  return path
}

describe('the probe of a device', () => {
  after(removeFolders)

  it('finds the CPU as it is', async () => {
    const result = await probe('cpu')
    expect(result).to.deep.include({ error: 0, adapter: { software: false } })
  })

  it('ends with a process that hangs, dies or says nothing', async () => {
    const cases: [string, RegExp][] = [
      ['setInterval(() => {}, 1000)', /did not answer within 0\.5 s/],
      ['process.on("message", () => process.kill(process.pid, "SIGABRT"))', /ended the process .*SIGABRT/],
      ['process.on("message", () => process.exit(3))', /ended the process .*exit code 3/],
    ]
    for (const [text, reason] of cases) {
      const result = await probe('webgpu', { main: program(text), limit: 500 })
      expect('obstacle' in result && result.obstacle.reason).to.match(reason)
    }
  })

  it('leaves no files of a process that hangs', async () => {
    const main = program(`import { writeFileSync } from 'node:fs'
      process.on('message', ({ scratch }) => {
        writeFileSync(scratch + '/profile', '')
        process.send({ failure: scratch })
        setInterval(() => {}, 1000)
      })`)
    const result = await probe('webgpu', { main, limit: 1000 })
    const folder = 'obstacle' in result ? result.obstacle.reason : ''
    expect(folder).to.match(/retrograd-probe-/)
    expect(existsSync(folder)).to.equal(false)
  })

  it('does not take for the device what the CPU computed', async () => {
    const answer = {
      error: 0,
      ms: 1,
      placement: { nodes: 9, onDevice: 0, elsewhere: [], ms: 1, msElsewhere: 1, copies: 0 },
    }
    const main = program(
      `process.on('message', () => process.send(${JSON.stringify(answer)}, () => process.disconnect()))`,
    )
    const result = await probe('cuda', { main, limit: 10_000 })
    expect('obstacle' in result && result.obstacle.reason).to.match(/everything on the CPU instead/)
  })
})

const FAILED = 'provider_bridge_ort.cc:1988 [ONNXRuntimeError] : 1 : FAIL : Failed to load library '

describe('why a device can’t be had', () => {
  const said = (device: Device, failure: string, log = ''): string => {
    const { reason, remedy } = whyNot(device, { failure }, log)
    return `${reason}; ${remedy ?? ''}`
  }

  it('names the library that is missing, and whose it is', () => {
    const log = (library: string): string =>
      `${FAILED}/here/libonnxruntime_providers_cuda.so with error: ${library}: cannot open shared object file: No such file`
    const append = 'OrtSessionOptionsAppendExecutionProvider_Cuda: Failed to load shared library'
    expect(said('cuda', append, log('libcublasLt.so.12'))).to.match(
      /^libcublasLt\.so\.12 \(CUDA 12\) can't be found; install CUDA 12/,
    )
    expect(said('cuda', append, log('libcudnn.so.9'))).to.match(/\(cuDNN 9\)/)
    expect(said('cuda', append, log('libcuda.so.1'))).to.match(/\(NVIDIA's driver\)/)
    expect(said('tensorrt', append, log('libnvinfer.so.10'))).to.match(/\(TensorRT 10\)/)
    expect(said('cuda', append, log('libother.so'))).to.match(/^libother\.so can't be found; install it/)
    const own = '/here/libonnxruntime_providers_shared.so'
    expect(
      said('cuda', append, `${FAILED}${own} with error: ${own}: cannot open shared object file`),
    ).to.match(
      /^the library libonnxruntime_providers_shared\.so is not installed; fetch it: npm run setup:cuda/,
    )
  })

  it('says what the loader says of a library that does not fit', () => {
    const log = `${FAILED}/x/libonnxruntime_providers_cuda.so with error: /x/libonnxruntime_providers_cuda.so: undefined symbol: cuTensorMap\n`
    expect(said('cuda', 'Failed to load shared library', log)).to.match(
      /^\/x\/libonnxruntime_providers_cuda\.so: undefined symbol: cuTensorMap; $/,
    )
  })

  it('tells a missing adapter, a missing GPU and an old driver apart', () => {
    expect(said('webgpu', 'Failed to get a WebGPU adapter: No supported adapters')).to.match(
      /no graphics adapter/,
    )
    expect(said('cuda', 'CUDA failure 100: no CUDA-capable device is detected ; GPU=-1')).to.match(
      /no NVIDIA GPU/,
    )
    expect(
      said('cuda', 'CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version'),
    ).to.match(/driver is missing or too old/)
    expect(said('coreml', 'something else\nat line 2')).to.match(/^something else; $/)
  })
})

describe('the adapter', () => {
  const linux = (log: string): unknown => adapterOf('webgpu', log, 'linux')
  const gpu = (vendor: string, metadata = ''): string =>
    `Discovered OrtHardwareDevice {vendor_id:0x${vendor}, device_id:0x1, vendor:X, type:1, metadata: [${metadata}]}`

  it('is the one that Vulkan made a device of', () => {
    expect(linux('DRIVER: Using "NVIDIA H200" with driver: "libGLX_nvidia.so.0"')).to.deep.equal({
      name: 'NVIDIA H200',
      software: false,
    })
    expect(
      linux('DRIVER:   Using "llvmpipe (LLVM 15.0.6, 256 bits)" with driver: "libvulkan_lvp.so"'),
    ).to.deep.include({ software: true })
    expect(
      linux('Using "SwiftShader Device (Subzero)" with driver: "/x/libvk_swiftshader.so"'),
    ).to.deep.include({ software: true })
  })

  it('is what the system lists, where Vulkan says nothing', () => {
    const name = (platform: NodeJS.Platform, log: string): unknown => adapterOf('webgpu', log, platform)
    expect(name('win32', gpu('1002', 'Description=AMD Radeon, LUID=3'))).to.deep.equal({
      name: 'AMD Radeon',
      software: false,
    })
    expect(name('darwin', gpu('106b'))).to.deep.equal({ name: 'Apple GPU', software: false })
    expect(name('win32', gpu('1414').replace('type:1', 'type:0'))).to.deep.equal({ software: true })
    expect(adapterOf('cuda', gpu('10de', 'Description=GeForce'), 'linux', () => undefined)).to.deep.equal({
      name: 'GeForce',
      software: false,
    })
  })
})
