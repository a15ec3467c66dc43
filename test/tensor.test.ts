import { expect } from 'chai'

import { firstNotFinite } from '../src/tensor.js'

describe('the first number that is not finite', () => {
  const largest = [3.4028234663852886e38, -3.4028234663852886e38, 1.401298464324817e-45, -0]

  for (const Type of [Float32Array, Float64Array]) {
    it(`is none where all numbers of a ${Type.name} are finite, the largest and smallest included`, () => {
      expect(firstNotFinite(Type.from(largest))).to.equal(-1)
    })

    for (const value of [NaN, Infinity, -Infinity])
      it(`is ${value} in a ${Type.name}, found within the range that is asked for alone`, () => {
        const values = Type.from([value, ...largest, value, value])
        expect(firstNotFinite(values)).to.equal(0)
        expect(firstNotFinite(values, 1)).to.equal(5)
        expect(firstNotFinite(values, 1, 5)).to.equal(-1)
        expect(firstNotFinite(values.subarray(1, 6))).to.equal(4)
      })
  }
})
