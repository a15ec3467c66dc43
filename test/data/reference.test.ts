import { join } from 'node:path'
import { expect } from 'chai'

import { openData } from '../../src/data/open-data.js'
import type { DataNeeds } from '../../src/data/needs.js'
import { describeWithShared } from '../shared.js'

const digits = (...sample: number[]): DataNeeds => ({
  inputs: [{ name: 'input', dtype: 'float32', dims: ['batch', ...sample] }],
  target: { kind: 'labels', classes: 10, positions: [] },
})
const characters: DataNeeds = {
  inputs: [{ name: 'input', dtype: 'int64', dims: ['batch', 32] }],
  target: { kind: 'labels', classes: 13, positions: [32] },
}

/** Samples, and the sums of inputs and labels as numpy finds them in float64. */
const CASES: readonly [string, DataNeeds, number, number, number][] = [
  ['mnist-fc/train.npz', digits(1, 28, 28), 2000, 206234.4645269392, 9003],
  ['mnist-fc/val.npz', digits(1, 28, 28), 500, 52467.83181492891, 2249],
  ['gpt/train.npz', characters, 128, 26331, 26662],
  ['lca-paper-fc/val.h5', digits(784), 500, 51646.188674910925, 2208],
]

describeWithShared('the reference data', (shared) => {
  for (const [path, needs, samples, inputs, labels] of CASES) {
    it(`${path} holds what numpy reads`, async () => {
      const data = await openData(join(shared, 'reference', path), needs, { scale: 'auto' })
      const sum = (values: Iterable<number | bigint>): number => {
        let total = 0
        for (const value of values) total += Number(value)
        return total
      }
      expect(data.samples).to.equal(samples)
      expect(sum(data.inputs.get('input')!.data)).to.be.closeTo(inputs, 1e-6)
      expect(sum(data.target!.data)).to.equal(labels)
    })
  }
})
