import { readdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { expect } from 'chai'
import { CHUNK } from '../../src/replay/store/layout.js'
import { SumInFile, SumInMemory } from '../../src/replay/workers/sum-array.js'
import type { SumArray } from '../../src/replay/workers/sum-array.js'
import { useTempFolder } from '../io/temp-folder.js'

// longer than a chunk, and not a multiple of it
const SIZE = CHUNK + 1000

const KINDS: Readonly<Record<string, (path: string) => SumArray>> = {
  'in memory': () => new SumInMemory(SIZE),
  'in a file': (path) => new SumInFile(path, SIZE),
}

describe('a sum as long as the parameters', () => {
  const file = useTempFolder()

  function read(sum: SumArray): Float64Array {
    const values = new Float64Array(SIZE)
    sum.read(values, 0)
    return values
  }

  for (const [name, make] of Object.entries(KINDS))
    describe(name, () => {
      it('begins with zeros, and does so again when it is cleared', () => {
        const sum = make(file('zeros'))
        expect(read(sum).every((value) => Object.is(value, 0))).to.equal(true)
        sum.add(Float32Array.of(1, 2), CHUNK - 1)
        sum.clear()
        expect(read(sum).every((value) => Object.is(value, 0))).to.equal(true)
      })

      it('adds in float64, in place, across the ends of chunks', () => {
        const sum = make(file('adds'))
        sum.add(new Float32Array(SIZE).fill(1), 0)
        sum.add(new Float64Array(SIZE - 3).fill(2 ** -40), 3)
        sum.add(Float32Array.of(5, 7), CHUNK - 1)
        const expected = new Float64Array(SIZE).fill(1 + 2 ** -40)
        expected.fill(1, 0, 3)
        expected[CHUNK - 1]! += 5
        expected[CHUNK]! += 7
        expect(Buffer.from(read(sum).buffer).equals(Buffer.from(expected.buffer))).to.equal(true)
      })
    })

  it('leaves no file behind', () => {
    const path = file('gone')
    new SumInFile(path, SIZE).add(Float32Array.of(1), 0)
    if (process.platform !== 'win32') expect(readdirSync(dirname(path))).not.to.include('gone')
  })
})
