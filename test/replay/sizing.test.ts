import { expect } from 'chai'
import type { Device, DeviceChoice } from '../../src/engines/devices/names.js'
import { UsageError } from '../../src/errors.js'
import { askedWorkers, sizing } from '../../src/replay/workers/sizing.js'

const GIB = 2 ** 30

describe('the number of workers', () => {
  const small = { parameters: 100_000, dataBytes: 50e6 }
  const large = { parameters: 120e6, dataBytes: 1e6 }

  it('is that of the cores for small networks, one thread each', () => {
    for (const cores of [1, 2, 16])
      expect(sizing(small, { cores, freeBytes: 64 * GIB })).to.include({ workers: cores, threads: 1 })
  })

  it('is what memory allows, and one at least', () => {
    const { workers } = sizing({ parameters: 12e6, dataBytes: 0 }, { cores: 16, freeBytes: 4 * GIB })
    expect(workers).to.be.within(2, 8)
    expect(sizing(small, { cores: 16, freeBytes: 1e6 }).workers).to.equal(1)
  })

  it('is one with all threads for a network of which several would fill the memory', () => {
    expect(sizing(large, { cores: 8, freeBytes: 64 * GIB })).to.include({ workers: 1, threads: 8 })
  })

  it('is what is asked for, and so are threads', () => {
    const machine = { cores: 8, freeBytes: 64 * GIB }
    expect(sizing({ ...large, workers: 3, threads: 2 }, machine)).to.include({ workers: 3, threads: 2 })
    expect(sizing({ ...small, workers: 5 }, machine)).to.include({ workers: 5, threads: 1 })
  })

  it('does not change the threads of small networks, on which results depend', () => {
    const threads = [1, 2, 64].map((cores) => sizing(small, { cores, freeBytes: GIB }).threads)
    expect(threads).to.deep.equal([1, 1, 1])
  })

  it('is one on every device but the CPU, unless more are asked for', () => {
    const machine = { cores: 8, freeBytes: 64 * GIB }
    for (const device of ['cuda', 'webgpu', 'directml'] as const)
      expect(sizing({ ...small, device }, machine)).to.include({ workers: 1, threads: 1 })
    expect(sizing({ ...small, device: 'cpu' }, machine).workers).to.equal(8)
    expect(sizing({ ...small, device: 'cuda', workers: 2 }, machine).workers).to.equal(2)
  })

  it('can not be more than one where a device has one owner', () => {
    const notes: string[] = []
    const asked = (workers: number | undefined, device: Device, choice: DeviceChoice) =>
      askedWorkers(workers, { device, choice }, (text) => notes.push(text))
    expect(() => asked(2, 'webgpu', 'webgpu')).to.throw(
      UsageError,
      '--workers 2: webgpu computes in one process; leave the option out',
    )
    expect([asked(1, 'webgpu', 'webgpu'), asked(undefined, 'coreml', 'coreml')]).to.deep.equal([1, undefined])
    expect([asked(2, 'cuda', 'cuda'), asked(2, 'cpu', 'auto')]).to.deep.equal([2, 2])
    expect(notes).to.deep.equal([])
    expect(asked(4, 'webgpu', 'auto')).to.equal(1)
    expect(notes).to.deep.equal(['--workers 4 has no effect: webgpu computes in one process'])
  })
})
