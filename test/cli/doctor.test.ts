import { expect } from 'chai'
import pc from 'picocolors'
import { renderDoctor } from '../../src/cli/doctor/render.js'
import type { DoctorFacts } from '../../src/cli/doctor/facts.js'
import { reportOf } from '../../src/engines/devices/survey.js'
import { describeWithWebgpu, NO_ADAPTER, SWIFTSHADER } from '../engines/devices/swiftshader.js'
import { withoutOnnxRuntime } from '../support/without-onnxruntime.js'
import { removeFolders, retrograd } from './command.js'

const PLACEMENT = { nodes: 53, onDevice: 52, elsewhere: [], ms: 2, msElsewhere: 0, copies: 1 }

const FACTS: DoctorFacts = {
  retrograd: '1.2.3',
  node: 'v22.0.0',
  platform: 'linux-x64',
  system: '6.1',
  onnxruntime: '1.30.0',
  tfjs: null,
  cpu: 'A processor',
  cores: 8,
  memory: { free: 5e9, total: 16e9 },
  disks: [
    { what: 'current folder', path: '/home/me\u001b[2J', free: 1e9, total: 2e12 },
    { what: 'temporary files', path: '/tmp', free: null, total: null },
  ],
  devices: [
    reportOf('cpu', { adapter: { software: false }, error: 0, ms: 0.4, placement: undefined }),
    reportOf('cuda', { obstacle: { reason: 'libcudnn.so.9 is missing', remedy: 'install cuDNN 9' } }),
    reportOf('webgpu', {
      adapter: { name: 'llvmpipe', software: true },
      error: 8.4e-7,
      ms: 23.2,
      placement: PLACEMENT,
    }),
    reportOf('coreml', { adapter: { software: false }, error: NaN, ms: 1, placement: PLACEMENT }),
  ],
  auto: 'cpu',
  engines: [
    { name: 'onnxruntime', available: true, version: '1.30.0' },
    { name: 'tfjs, tfjs-node', available: false, reason: 'not installed' },
    { name: 'tfjs, wasm', available: true, version: '4.22.0', tensorflow: '2.9.1', gpu: true },
  ],
}

describe('retrograd doctor', () => {
  after(removeFolders)

  it('says in one line each what there is, and what is missing with its remedy', () => {
    const lines = renderDoctor(FACTS, pc.createColors(false)).split('\n')
    expect(lines).to.include.members([
      '  retrograd 1.2.3',
      '  versions         onnxruntime 1.30.0, Node.js v22.0.0',
      '  system           linux-x64 (6.1), A processor, 8 cores',
      '  memory           5.00 GB free of 16.0 GB',
      '  current folder   1.00 GB free of 2.00 TB (/home/me\\u001b[2J)',
      '  temporary files  space unknown (/tmp)',
      '  ✓ cpu     0.40 ms',
      '  ✗ cuda    libcudnn.so.9 is missing',
      '            → install cuDNN 9',
      '  ✓ webgpu  llvmpipe, a program on the CPU, error 8.4e-7, 23 ms, 52 of 53 nodes there',
      "  ✗ coreml  its numbers are wrong: they are not near the CPU's",
      '  ✓ onnxruntime      1.30.0',
      '  ✗ tfjs, tfjs-node  not installed',
      '  ✓ tfjs, wasm       4.22.0, TensorFlow 2.9.1, on a GPU',
    ])
  })

  it('gives scripts one object, and is content with a CPU', async () => {
    const { status, stdout, stderr } = await retrograd(['doctor', '--json'], { env: NO_ADAPTER })
    expect(status, stderr).to.equal(0)
    const facts = JSON.parse(stdout) as DoctorFacts
    expect(facts).to.include.keys('retrograd', 'node', 'platform', 'onnxruntime', 'memory', 'disks', 'auto')
    expect(facts.devices.map(({ device }) => device)).to.deep.equal([
      ...['cpu', 'cuda', 'tensorrt', 'webgpu', 'directml', 'coreml'],
    ])
    expect(facts.devices[0]).to.deep.include({ available: true, error: 0 })
    for (const { available, reason = '' } of facts.devices)
      if (!available) expect(reason).to.have.length.above(5)
    expect(facts.engines[0]).to.deep.include({ name: 'onnxruntime', available: true })
    expect(facts.engines.map(({ name }) => name)).to.include('tfjs, js')
  })

  it('ends with exit code 1 where ONNX Runtime does not load, and says so', async () => {
    const { status, stdout } = await retrograd(['doctor'], {
      env: { ...NO_ADAPTER, ...withoutOnnxRuntime() },
    })
    expect(status).to.equal(1)
    expect(stdout).to.match(/✗ cpu .*ONNX Runtime 1\S+ does not load on .*no such library/)
    expect(stdout).to.match(/✗ onnxruntime .*does not load on/)
    expect(stdout).to.match(/✓ tfjs, js +4/)
  })

  it('explains itself', async () => {
    const { status, stdout } = await retrograd(['doctor', '--help'])
    expect(status).to.equal(0)
    expect(stdout).to.match(/retrograd doctor --json/)
    expect(stdout).to.match(/Exit codes: 0/)
  })
})

describeWithWebgpu('retrograd doctor with a Vulkan driver', () => {
  it('names the adapter, how far it is off the CPU, and how long it takes', async () => {
    const { stdout } = await retrograd(['doctor', '--json'], { env: SWIFTSHADER })
    const { devices, auto } = JSON.parse(stdout) as DoctorFacts
    const webgpu = devices.find(({ device }) => device === 'webgpu')!
    expect(webgpu).to.deep.include({ available: true, software: true })
    expect(webgpu.adapter).to.match(/SwiftShader/)
    expect(webgpu.error).to.be.within(0, 1e-5)
    expect(webgpu.ms).to.be.greaterThan(0)
    expect(webgpu.nodesOnDevice).to.be.greaterThan(0.9 * webgpu.nodes!)
    // a program on the CPU is no device to be chosen
    expect(auto).to.not.equal('webgpu')
  })
})
