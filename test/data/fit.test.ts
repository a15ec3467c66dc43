import { expect } from 'chai'

import { DataError } from '../../src/errors.js'
import { fitSampleShape } from '../../src/data/fit.js'
import type { Dim } from '../../src/data/needs.js'

/** Stored sample, declared dims, the shape that the network gets; undefined where it must be refused. */
const CASES: readonly [readonly number[], readonly Dim[], readonly number[] | undefined][] = [
  [
    [28, 28],
    [28, 28],
    [28, 28],
  ],
  [[17], ['length'], [17]],
  [[784], [1, 28, 28], [1, 28, 28]],
  [[28, 28, 1], [784], [784]],
  [
    [28, 28, 1],
    [1, 28, 28],
    [1, 28, 28],
  ],
  [
    [28, 28],
    [1, 'height', 'width'],
    [1, 28, 28],
  ],
  [[], [1], [1]],
  [[1], [], []],
  [[32, 32, 3], [3, 32, 32], undefined],
  [[4, 6], [6, 4], undefined],
  [[2, 12], [3, 8], undefined],
  [[784], ['channels', 28, 28], undefined],
  [[10], [], undefined],
]

describe('fitting samples to the network', () => {
  for (const [stored, declared, fitted] of CASES) {
    it(`[${stored.join(', ')}] ${fitted === undefined ? 'does not fit' : 'fits'} [${declared.join(', ')}]`, () => {
      if (fitted === undefined) expect(() => fitSampleShape(stored, declared, 'x')).to.throw(DataError)
      else expect(fitSampleShape(stored, declared, 'x').sampleShape).to.deep.equal(fitted)
    })
  }

  it('says so when it changes the shape, and only then', () => {
    expect(fitSampleShape([784], [1, 28, 28], 'x').note).to.equal(
      'x: samples of 784 are taken as 1 x 28 x 28',
    )
    expect(fitSampleShape([784], [784], 'x').note).to.equal(undefined)
  })

  it('gives the line of numpy for channels last', () => {
    expect(() => fitSampleShape([32, 32, 3], [3, 32, 32], 'x')).to.throw(/x\.transpose\(0, 3, 1, 2\)/)
  })
})
