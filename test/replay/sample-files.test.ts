import { join } from 'node:path'
import { expect } from 'chai'
import type { DataSet } from '../../src/data/needs.js'
import { openSplits, withoutArrays, writeSplit } from '../../src/replay/workers/sample-files.js'
import { newFolder, removeFolders } from '../cli/command.js'

describe('the data of a split on their way to the workers', () => {
  after(removeFolders)

  const set: DataSet = {
    path: 'train.npz',
    samples: 3,
    inputs: new Map([
      ['x', { dtype: 'float32', sampleShape: [2], data: Float32Array.of(0, 1, 2, 3, 4, 5) }],
      ['mask', { dtype: 'bool', sampleShape: [], data: Uint8Array.of(1, 0, 1) }],
    ]),
    target: { dtype: 'int64', sampleShape: [], data: BigInt64Array.of(7n, 8n, 9n) },
    notes: ['a note'],
    sha256: () => Promise.resolve('abc'),
  }

  it('are the same in files, kept in memory or read when asked for', () => {
    for (const keepBytes of [1e6, 0]) {
      const [split] = openSplits([writeSplit(join(newFolder(), 'data'), set)], keepBytes)
      const read = (name: string): unknown => {
        const array = name === 'target' ? split!.target! : split!.inputs.get(name)!
        return 'read' in array ? array.read(0, 3) : array.data
      }
      expect(['x', 'mask', 'target'].map(read)).to.deep.equal([
        set.inputs.get('x')!.data,
        set.inputs.get('mask')!.data,
        set.target!.data,
      ])
    }
  })

  it('leave all but their arrays behind', () => {
    const { inputs, target, ...facts } = withoutArrays(set)
    const { inputs: given, target: wanted, ...others } = set
    expect(facts).to.deep.equal(others)
    expect(inputs.get('x')).to.deep.equal({ ...given.get('x'), data: new Float32Array(0) })
    expect(inputs.get('mask')).to.deep.equal({ ...given.get('mask'), data: new Uint8Array(0) })
    expect(target).to.deep.equal({ ...wanted, data: new BigInt64Array(0) })
  })
})
