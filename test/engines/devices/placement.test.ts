import { expect } from 'chai'
import { operatorList, readPlacement, shareOfTime } from '../../../src/engines/devices/placement.js'
import { deviceLine } from '../../../src/cli/device-line.js'

interface Made {
  readonly op: string
  readonly provider: string
  readonly ts: number
  readonly dur: number
  readonly name?: string
}

/** Events as ONNX Runtime 1.30 writes them. */
function event({ op, provider, ts, dur, name = `${op}_${ts}` }: Made): object {
  const args = { op_name: op, provider, node_index: '1' }
  return { cat: 'Node', name: `${name}_kernel_time`, ph: 'X', ts, dur, args }
}

const run = (ts: number, dur: number): object => ({ cat: 'Session', name: 'model_run', ts, dur, args: {} })
const [GPU, CPU] = ['WebGpuExecutionProvider', 'CPUExecutionProvider']

describe('placement', () => {
  it('is that of the last run, copies and nodes that run others counted apart', () => {
    const profile = JSON.stringify([
      { cat: 'Session', name: 'session_initialization', ts: 0, dur: 90, args: {} },
      event({ op: 'Conv', provider: GPU, ts: 110, dur: 5000 }),
      event({ op: 'Shape', provider: CPU, ts: 5200, dur: 900 }),
      run(100, 6000),
      event({ op: 'MemcpyFromHost', provider: GPU, ts: 10_001, dur: 5 }),
      event({ op: 'Conv', provider: GPU, ts: 10_010, dur: 50 }),
      event({ op: 'Gemm', provider: GPU, ts: 10_100, dur: 700, name: 'gemm' }),
      event({ op: 'Gemm', provider: GPU, ts: 10_800, dur: 700, name: 'gemm' }),
      event({ op: 'Shape', provider: CPU, ts: 11_600, dur: 30 }),
      event({ op: 'Shape', provider: CPU, ts: 11_640, dur: 10 }),
      event({ op: 'Gather', provider: CPU, ts: 11_650, dur: 10 }),
      event({ op: 'Loop', provider: CPU, ts: 11_700, dur: 200 }),
      { cat: 'Api', name: 'a kernel', ts: 11_800, dur: 100_000, args: {} },
      run(10_000, 2000),
    ])
    const placement = readPlacement(profile, 'webgpu')
    expect(placement).to.deep.equal({
      nodes: 6,
      onDevice: 2,
      elsewhere: [
        { op: 'Shape', nodes: 2 },
        { op: 'Gather', nodes: 1 },
        { op: 'Loop', nodes: 1 },
      ],
      ms: 2,
      msElsewhere: 0.05,
      copies: 1,
    })
    expect(shareOfTime(placement)).to.be.closeTo(0.975, 1e-12)
    expect(operatorList(placement)).to.equal('Shape ×2, Gather, Loop')
  })

  it('takes what TensorRT leaves to CUDA for the device', () => {
    const profile = JSON.stringify([
      event({ op: 'TRTKernel', provider: 'TensorrtExecutionProvider', ts: 1, dur: 2 }),
      event({ op: 'CumSum', provider: 'CUDAExecutionProvider', ts: 4, dur: 2 }),
    ])
    expect(readPlacement(profile, 'tensorrt')).to.deep.include({ nodes: 2, onDevice: 2, ms: 0.006 })
    expect(readPlacement(profile, 'cuda')).to.deep.include({ nodes: 2, onDevice: 1 })
  })

  it('is told in one line, where 100 % means all', () => {
    const placement = {
      nodes: 1212,
      nodes_elsewhere: { Shape: 2, 'Ca\u001bst': 1 },
      share_of_nodes: 0.9976,
      share_of_time: 0.972,
    }
    expect(deviceLine({ provider: 'webgpu', adapter: 'Radeon \u001b[2J', placement })).to.equal(
      'computed on webgpu (Radeon \\u001b[2J): 99 % of 1,212 nodes, 97 % of the time; on the CPU: Shape ×2, Ca\\u001bst',
    )
    const whole = { nodes: 9, nodes_elsewhere: {}, share_of_nodes: 1, share_of_time: 1 }
    expect(deviceLine({ provider: 'cuda', placement: whole })).to.equal(
      'computed on cuda: 100 % of 9 nodes, 100 % of the time',
    )
    expect(deviceLine({ provider: 'cuda' })).to.equal('computed on cuda')
  })
})
