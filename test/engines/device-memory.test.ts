import { expect } from 'chai'
import { deviceMemory } from '../../src/engines/devices/memory.js'
import type { MemoryWorld } from '../../src/engines/devices/memory.js'
import { deviceBatchSize } from '../../src/engines/micro-batches.js'
import { memoryLineOf, saysOutOfMemory } from '../../src/engines/out-of-memory.js'

const MIB = 2 ** 20
const GIB = 2 ** 30

/** A machine whose nvidia-smi prints a text, or is not there. */
function world(text: string | undefined, visible?: string) {
  const asked: (readonly string[])[] = []
  const made: MemoryWorld = {
    run: (program, args) => {
      asked.push([program, ...args])
      return text === undefined ? Promise.reject(new Error('ENOENT')) : Promise.resolve(text)
    },
    environment: { CUDA_VISIBLE_DEVICES: visible },
    systemBytes: 64 * GIB,
  }
  return { made, asked }
}

const usable = async (text: string | undefined, limit?: number, visible?: string) =>
  (await deviceMemory('cuda', { limit }, world(text, visible).made))?.bytes

describe("a device's memory", () => {
  it('is three quarters of what nvidia-smi calls free, less what CUDA takes', async () => {
    expect(await usable('24000, 24564\n')).to.equal(0.75 * (24000 - 600) * MIB)
    expect(await usable('500, 24564\n')).to.equal(0)
    const memory = await deviceMemory('tensorrt', {}, world('142000, 143771').made)
    expect(memory?.source).to.equal('148.9 GB free on the device')
  })

  it('is that of the GPU that CUDA takes first, or the least of all', async () => {
    expect(await usable('24000, 24564\n8000, 24564\n')).to.equal(0.75 * (8000 - 600) * MIB)
    const { made, asked } = world('24000, 24564', 'GPU-8f6a, 1')
    await deviceMemory('cuda', {}, made)
    expect(asked).to.deep.equal([
      [
        'nvidia-smi',
        '--id=GPU-8f6a',
        '--query-gpu=memory.free,memory.total',
        '--format=csv,noheader,nounits',
      ],
    ])
  })

  it('is unknown where nvidia-smi is not there or says nothing', async () => {
    for (const text of [undefined, '[N/A], [N/A]', 'No devices were found', ''])
      expect(await deviceMemory('cuda', {}, world(text).made), text).to.equal(undefined)
    expect(await deviceMemory('cpu', { limit: GIB }, world('24000, 24564').made)).to.equal(undefined)
  })

  it('is no more than the user allows, and shared by the engines', async () => {
    const free = world('24000, 24564').made
    expect(await deviceMemory('cuda', { limit: 2e9 }, free)).to.deep.equal({
      bytes: 2e9,
      source: '2.0 GB of --device-memory',
    })
    expect((await deviceMemory('cuda', { limit: 3e6 }, free))!.source).to.equal('3.0 MB of --device-memory')
    expect((await deviceMemory('cuda', { limit: 1e12 }, free))!.bytes).to.be.lessThan(24000 * MIB)
    expect((await deviceMemory('cuda', { limit: 2e9, engines: 2 }, free))!.bytes).to.equal(1e9)
    expect(await usable(undefined, 3e9)).to.equal(3e9)
  })

  it('is a share of the machine where the device tells nothing, and one buffer of WebGPU has a limit', async () => {
    const { made, asked } = world('24000, 24564')
    expect(await deviceMemory('webgpu', {}, made)).to.include({ bytes: GIB, largestValue: 128 * MIB })
    const small = { ...made, systemBytes: 4 * GIB }
    expect((await deviceMemory('directml', {}, small))!.bytes).to.equal(GIB / 2)
    expect(asked).to.deep.equal([])
  })
})

describe('the micro-batch that fits a device', () => {
  const needs = { elementsPerSample: 1000, largestPerSample: 100, parameters: 0, samples: 1e9 }
  const size = (changes: Partial<typeof needs>, bytes: number, largestValue?: number) =>
    deviceBatchSize({ ...needs, ...changes }, { bytes, ...(largestValue !== undefined && { largestValue }) })

  it('is the largest power of two of which all values fit', () => {
    expect(size({}, 4 * MIB)).to.equal(1024)
    expect(size({}, 4 * MIB - 4 * 25_000)).to.equal(512)
    expect(size({ elementsPerSample: 3000 }, GIB)).to.equal(65536)
  })

  it('leaves room for parameters, their gradients and sums', () => {
    expect(size({ parameters: 1e6 }, 24e6 + 4 * 64_000)).to.equal(64)
    expect(size({ parameters: 1e9 }, GIB)).to.equal(1)
  })

  it('keeps the largest value within one buffer', () => {
    expect(size({}, GIB, 128 * MIB)).to.equal(262144)
    expect(size({ largestPerSample: 1000 }, GIB, 128 * MIB)).to.equal(32768)
  })

  it('is no larger than the data need', () => {
    expect(size({ samples: 300 }, GIB)).to.equal(512)
    expect(size({ samples: 1 }, GIB)).to.equal(1)
  })
})

describe('want of memory', () => {
  const TEXTS = [
    'std::bad_alloc',
    'bfc_arena.cc:376 AllocateRawInternal Failed to allocate memory for requested buffer of size 4585490',
    'CUDA failure 2: out of memory ; GPU=0 ; hostname=x',
    'CUDA error executing cudaMalloc: cudaErrorMemoryAllocation',
    'CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0',
    'CUDNN failure 2: CUDNN_STATUS_ALLOC_FAILED ; GPU=0',
    'CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED',
    'WebGPU device error(2): Out of memory',
    'vkAllocateMemory failed with VK_ERROR_OUT_OF_DEVICE_MEMORY',
    'Allocation size too large',
    'WebGPU validation failed. [Invalid Buffer (unlabeled)] is invalid due to a previous error.',
    'Buffer size (3185049600) exceeds the max buffer size limit (1073741824).',
    'Binding size (155582464) of [Buffer] is larger than the maximum storage buffer binding size (134217728).',
    'BucketizedBufferAllocator.cpp(122): Exception(1) tid(4790) 8007000E Not enough memory resources are available',
    'FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory',
  ]

  it('is told from what every provider says', () => {
    for (const text of TEXTS) expect(saysOutOfMemory(`Non-zero status code: ${text}`), text).to.equal(true)
  })

  it('is not what other failures say', () => {
    for (const text of [
      'CUDA failure 700: an illegal memory access was encountered',
      'MatMul dimension mismatch',
      'CUDNN failure 3000: CUDNN_STATUS_NOT_SUPPORTED',
      '[Invalid ShaderModule (unlabeled)] is invalid due to a previous error.',
    ])
      expect(saysOutOfMemory(text), text).to.equal(false)
  })

  it('is the line of a longer text that says so', () => {
    expect(memoryLineOf('a trace\n  std::bad_alloc \nmore')).to.equal('std::bad_alloc')
    expect(memoryLineOf('a trace')).to.equal(undefined)
  })
})
