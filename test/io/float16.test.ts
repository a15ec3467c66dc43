import { readFileSync } from 'node:fs'
import { expect } from 'chai'

import { decodeArray, swapBytes } from '../../src/io/decode.js'
import { narrowBfloat16, narrowFloat16, widenBfloat16, widenFloat16 } from '../../src/io/float16.js'

interface Facts {
  nan: number
  infinite: number
  smallest: number
  largest: number
  at: Record<string, number>
  sum_of_float32_bits: number
}

/** Facts that PyTorch found about all 65,536 bit patterns (scripts/make-fixtures/trajectory.py). */
const facts = (
  JSON.parse(readFileSync('fixtures/trajectory/expected.json', 'utf8')) as { float16: Record<string, Facts> }
).float16
const patterns = Uint16Array.from({ length: 65536 }, (_, bits) => bits)

const WIDENERS = { half: widenFloat16, bfloat: widenBfloat16 }

describe('widening 16-bit floats', () => {
  for (const [name, widen] of Object.entries(WIDENERS)) {
    it(`gives the float32 that PyTorch gives for every ${name} pattern`, () => {
      const wide = widen(patterns)
      const expected = facts[name]!
      const finite = wide.filter(Number.isFinite)
      expect(wide.filter(Number.isNaN)).to.have.length(expected.nan)
      expect(wide.length - finite.length - expected.nan).to.equal(expected.infinite)
      expect(Math.min(...finite.filter((value) => value > 0))).to.equal(expected.smallest)
      expect(finite.reduce((a, b) => Math.max(a, b))).to.equal(expected.largest)
      for (const [bits, value] of Object.entries(expected.at)) expect(wide[Number(bits)]).to.equal(value)
      const sum = wide.reduce((total, value, i) => total + (Number.isNaN(value) ? 0 : bitsOf(wide)[i]!), 0)
      expect(sum).to.equal(expected.sum_of_float32_bits)
    })
  }

  it('keeps the sign of zero', () => {
    expect(Object.is(widenFloat16(Uint16Array.of(0x8000))[0], -0)).to.equal(true)
    expect(Object.is(widenBfloat16(Uint16Array.of(0x8000))[0], -0)).to.equal(true)
  })
})

describe('narrowing to 16-bit floats', () => {
  for (const [name, widen, narrow] of [
    ['half', widenFloat16, narrowFloat16],
    ['bfloat', widenBfloat16, narrowBfloat16],
  ] as const) {
    it(`gives back every ${name} pattern that is a number`, () => {
      const wide = widen(patterns)
      const back = narrow(Array.from(wide))
      const again = widen(back)
      expect(patterns.filter((bits) => !Number.isNaN(wide[bits]) && back[bits] !== bits)).to.have.length(0)
      expect(
        patterns.filter((bits) => Number.isNaN(wide[bits]) && !Number.isNaN(again[bits])),
      ).to.have.length(0)
    })

    it(`rounds between two neighbouring ${name} patterns to the nearer one, in the middle to the even one`, () => {
      const wide = widen(patterns)
      // between the largest number and infinity there is no middle
      const lower = Array.from({ length: 0x7bfe }, (_, bits) => bits)
      const between = (share: number): number[] =>
        lower.map((bits) => wide[bits]! * (1 - share) + wide[bits + 1]! * share)
      expect(Array.from(narrow(between(0.25)))).to.deep.equal(lower)
      expect(Array.from(narrow(between(0.75)))).to.deep.equal(lower.map((bits) => bits + 1))
      expect(Array.from(narrow(between(0.5)))).to.deep.equal(lower.map((bits) => bits + (bits % 2)))
    })
  }

  it('turns what is too large into infinity', () => {
    expect([...narrowFloat16([65519, 65520, -1e9])]).to.deep.equal([0x7bff, 0x7c00, 0xfc00])
    expect([...narrowBfloat16([3.4e38, -Infinity])]).to.deep.equal([0x7f80, 0xff80])
  })
})

function bitsOf(values: Float32Array): Uint32Array {
  return new Uint32Array(values.buffer)
}

describe('decoding bytes', () => {
  it('reads elements that are not aligned in memory', () => {
    const bytes = new Uint8Array(17)
    new DataView(bytes.buffer).setFloat64(1, 2.5, true)
    new DataView(bytes.buffer).setFloat64(9, -1, true)
    expect([...decodeArray(bytes.subarray(1), 'float64')]).to.deep.equal([2.5, -1])
  })

  it('reads two big-endian integers once their bytes are swapped', () => {
    const bytes = Uint8Array.of(0, 0, 1, 2, 0xff, 0xff, 0xff, 0xfe)
    swapBytes(bytes, 4)
    expect([...decodeArray(bytes, 'int32')]).to.deep.equal([258, -2])
  })
})
