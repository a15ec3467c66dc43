import { truncateSync, writeFileSync } from 'node:fs'
import { expect } from 'chai'

import { DataError } from '../../src/errors.js'
import { openArrayFile } from '../../src/data/array-files.js'
import { readFloats, readIntegers } from '../../src/data/convert.js'
import type { ReadableArray } from '../../src/data/stored-array.js'
import { useTempFolder } from '../io/temp-folder.js'
import { npyBytes } from '../support/npy.js'
import { rejection } from '../support/rejection.js'

/** More than is read at once, and no multiple of it. */
const ROWS = 1_300_001
const WIDTH = 2

describe('arrays that are taken as they lie in their file', () => {
  const file = useTempFolder()
  const values = Float32Array.from({ length: ROWS * WIDTH }, (_, i) => (i % 1000) / 8)
  const floats = (changed: Float32Array): Uint8Array =>
    npyBytes({ type: '<f4', shape: [ROWS, WIDTH], values: changed })
  const open = async (path: string): Promise<ReadableArray> => {
    const [array] = (await openArrayFile(path)).arrays
    return array as ReadableArray
  }
  const equal = (a: ArrayLike<unknown>, b: ArrayLike<unknown>): boolean =>
    a.length === b.length && Array.prototype.every.call(a, (value, i) => value === b[i])

  it('says where elements of an .npy file lie', async () => {
    expect((await open(file('x.npy', floats(values)))).place).to.deep.equal({
      path: file('x.npy'),
      offset: 128,
    })
  })

  it('reads every element, in whatever pieces', async () => {
    const read = await readFloats(await open(file('x.npy', floats(values))), 'float32', 1)
    expect(read).to.be.instanceOf(Float32Array)
    expect(equal(read, values)).to.equal(true)
  })

  for (const [value, at] of [
    [NaN, 0],
    [Infinity, 1_048_576],
    [-Infinity, ROWS * WIDTH - 1],
  ] as const) {
    it(`refuses ${value} at position ${at} and says where it is`, async () => {
      const changed = values.slice()
      changed[at] = value
      const path = file('bad.npy', floats(changed))
      const error = await rejection(readFloats(await open(path), 'float32', 1))
      expect(error).to.be.instanceOf(DataError)
      expect(error.message).to.equal(
        `${path} holds ${value} at index [${Math.floor(at / WIDTH)}, ${at % WIDTH}] of ${ROWS} x ${WIDTH}`,
      )
    })
  }

  it('reads whole numbers of the type that the network takes', async () => {
    const tokens = BigInt64Array.from({ length: ROWS }, (_, i) => BigInt(i) - 7n)
    const path = file('tokens.npy', npyBytes({ type: '<i8', shape: [ROWS], values: tokens }))
    expect(equal(await readIntegers(await open(path), 'int64'), tokens)).to.equal(true)
  })

  it('notices a file that is cut off after it was opened', async () => {
    const path = file('cut.npy', floats(values))
    const array = await open(path)
    truncateSync(path, 5_000_000)
    const error = await rejection(readFloats(array, 'float32', 1))
    expect(error.message).to.contain('truncated')
  })

  it('reads the same through blocks where there is no place', async () => {
    writeFileSync(file('x.npy'), floats(values))
    const read = await readFloats({ ...(await open(file('x.npy'))), place: undefined }, 'float32', 1)
    expect(equal(read, values)).to.equal(true)
  })
})
