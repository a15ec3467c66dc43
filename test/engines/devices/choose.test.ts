import { expect } from 'chai'
import { listSupportedBackends } from '../../../src/engines/runtime.js'
import { builtFor, THIS_MACHINE } from '../../../src/engines/devices/build.js'
import type { Machine } from '../../../src/engines/devices/build.js'
import { autoOrder, chooseDevice } from '../../../src/engines/devices/choose.js'
import type { World } from '../../../src/engines/devices/choose.js'
import type { Device, DeviceChoice } from '../../../src/engines/devices/names.js'
import type { ProbeResult } from '../../../src/engines/devices/probe.js'
import { providersOf } from '../../../src/engines/session-options.js'
import { DeviceError, UsageError } from '../../../src/errors.js'
import { rejection } from '../../support/rejection.js'

const PLACEMENT = { nodes: 50, onDevice: 50, elsewhere: [], ms: 2, msElsewhere: 0, copies: 0 }

function answer(changes: { name?: string; software?: boolean; error?: number } = {}): ProbeResult {
  const { name = 'Radeon 9', software = false, error = 1e-6 } = changes
  return { adapter: { name, software }, error, ms: 2, placement: PLACEMENT }
}

/** A machine with some files, and devices that answer so; those without an answer must not be asked. */
function world(
  platform: string,
  files: readonly string[],
  answers: Partial<Record<Device, ProbeResult>> = {},
): World & { readonly asked: Device[] } {
  const [name = '', arch = ''] = platform.split('-')
  const asked: Device[] = []
  return {
    asked,
    machine: {
      platform: name as NodeJS.Platform,
      arch,
      exists: (path) => files.some((file) => path.endsWith(file)),
    },
    probe: (device) => {
      asked.push(device)
      const result = answers[device]
      return result === undefined ? Promise.reject(new Error(`${device} was asked`)) : Promise.resolve(result)
    },
  }
}

const CUDA = ['/dev/nvidiactl', 'libonnxruntime_providers_cuda.so', '/dev/dri']

describe('the choice of a device', () => {
  it('asks nothing of a machine without a GPU', async () => {
    const bare = world('linux-x64', [])
    expect(await chooseDevice('auto', bare)).to.deep.equal({ device: 'cpu', notes: [] })
    expect(bare.asked).to.deep.equal([])
  })

  it('tries cuda, then the system’s own, then webgpu', () => {
    const order = (platform: string, files: readonly string[]): Device[] =>
      autoOrder(world(platform, files).machine)
    expect(order('linux-x64', CUDA)).to.deep.equal(['cuda', 'webgpu'])
    expect(order('linux-x64', ['/dev/dri'])).to.deep.equal(['webgpu'])
    expect(order('linux-arm64', CUDA)).to.deep.equal([])
    expect(order('win32-x64', [])).to.deep.equal(['directml', 'webgpu'])
    expect(order('darwin-arm64', [])).to.deep.equal(['coreml', 'webgpu'])
    expect(order('darwin-x64', [])).to.deep.equal([])
  })

  it('takes the first that passes, with its name', async () => {
    const all = world('linux-x64', CUDA, { cuda: answer({ name: 'NVIDIA H200' }) })
    expect(await chooseDevice('auto', all)).to.deep.equal({
      device: 'cuda',
      adapter: 'NVIDIA H200',
      notes: [],
    })
    expect(all.asked).to.deep.equal(['cuda'])
  })

  it('goes on where one fails, and says why', async () => {
    const later = world('linux-x64', CUDA, {
      cuda: { obstacle: { reason: 'libcudnn.so.9 (cuDNN 9) can’t be found', remedy: 'install cuDNN 9' } },
      webgpu: answer(),
    })
    const { device, notes } = await chooseDevice('auto', later)
    expect(device).to.equal('webgpu')
    expect(notes).to.deep.equal([
      'cuda was not taken: libcudnn.so.9 (cuDNN 9) can’t be found; install cuDNN 9',
    ])
  })

  it('takes no software adapter and no inexact device by itself', async () => {
    const software = answer({ name: 'SwiftShader Device (Subzero)', software: true })
    const first = await chooseDevice('auto', world('linux-x64', ['/dev/dri'], { webgpu: software }))
    expect(first.device).to.equal('cpu')
    expect(first.notes?.[0]).to.match(/^webgpu was not taken: its adapter, SwiftShader Device \(Subzero\)/)
    for (const [error, said] of [
      [3e-3, /0\.30 % off/],
      [NaN, /not a number/],
    ] as const) {
      const inexact = world('darwin-arm64', [], { coreml: answer({ error }), webgpu: answer() })
      const second = await chooseDevice('auto', inexact)
      expect(second.device).to.equal('webgpu')
      expect(second.notes?.[0]).to.match(said)
    }
  })

  it('takes by name what auto leaves, with a note', async () => {
    const software = answer({ name: 'llvmpipe (LLVM 15)', software: true })
    const one = await chooseDevice('webgpu', world('linux-x64', [], { webgpu: software }))
    expect(one).to.deep.include({ device: 'webgpu', adapter: 'llvmpipe (LLVM 15)' })
    expect(one.notes?.[0]).to.match(/llvmpipe \(LLVM 15\), which is a program on the CPU/)
    const coreml = answer({ error: 3e-3 })
    const other = await chooseDevice('coreml', world('darwin-arm64', [], { coreml }))
    expect(other.notes?.[0]).to.match(/0\.30 % off the CPU's: residuals will be larger/)
  })

  it('refuses by name what is wrong or can’t be had, with reason and remedy', async () => {
    const cases: [DeviceChoice, World, RegExp][] = [
      ['webgpu', world('linux-x64', [], { webgpu: answer({ error: NaN }) }), /numbers are wrong/],
      ['webgpu', world('linux-x64', [], { webgpu: answer({ error: 0.5 }) }), /50 % off the CPU's/],
      [
        'directml',
        world('linux-x64', []),
        /Linux x64 has no provider for it \(there is one on Windows\); here there are cpu, cuda/,
      ],
      ['cuda', world('win32-x64', []), /Windows x64 has no provider/],
      ['webgpu', world('linux-arm64', []), /Linux arm64 has no provider/],
      [
        'cuda',
        world('linux-x64', []),
        /libonnxruntime_providers_cuda\.so is not installed; fetch it: npm run setup:cuda/,
      ],
      ['tensorrt', world('linux-x64', CUDA), /libonnxruntime_providers_tensorrt\.so is not installed/],
    ]
    for (const [choice, at, message] of cases) {
      const error = await rejection(chooseDevice(choice, at))
      if (!(error instanceof DeviceError)) throw error
      expect(error.message).to.match(message)
      expect(error.message).to.contain(`--device ${choice}: `)
      expect(error.exitStatus).to.equal(3)
    }
  })

  it('tells of an NVIDIA GPU that lies idle for want of a library', async () => {
    const { device, notes } = await chooseDevice(
      'auto',
      world('linux-x64', ['/dev/nvidiactl'], { webgpu: { obstacle: { reason: 'no' } } }),
    )
    expect(device).to.equal('cpu')
    expect(notes?.[0]).to.match(/there is an NVIDIA GPU, but .*: npm run setup:cuda/)
  })

  it('refuses a name that is none', async () => {
    const error = await rejection(chooseDevice('gpu' as DeviceChoice))
    expect(error).to.be.instanceOf(UsageError)
    expect(error.message).to.match(/--device gpu: there is no such device; one of auto, cpu, cuda/)
  })

  it('knows what this platform’s ONNX Runtime was built with', () => {
    const names = listSupportedBackends().map(({ name }) => name)
    const machine: Machine = THIS_MACHINE
    const known = builtFor(machine).flatMap((device) => providersOf(device))
    expect([...new Set(known)]).to.have.members(names)
  })
})
