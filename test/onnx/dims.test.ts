import { expect } from 'chai'
import {
  broadcast,
  normalizeAxis,
  product,
  quotient,
  sameShape,
  staticShape,
} from '../../src/onnx/shapes/dims.js'

describe('sizes with symbols', () => {
  it('multiply into products that are equal for equal factors', () => {
    expect(product([2, 3])).to.equal(6)
    expect(product([])).to.equal(1)
    expect(product([1, 'batch'])).to.equal('batch')
    expect(product([4, 'time', 'batch'])).to.equal(product(['batch', 2, 'time', 2]))
    expect(product(['batch', 0])).to.equal(0)
    expect(product([product([2, 'batch']), product([3, 'time'])])).to.equal('6*batch*time')
  })

  it('divide where that is exact whatever the symbols stand for', () => {
    expect(quotient(6, 3)).to.equal(2)
    expect(quotient('6*batch*time', '2*time')).to.equal('3*batch')
    expect(quotient('batch', 'batch')).to.equal(1)
    expect(quotient('batch*batch', 'batch')).to.equal('batch')
    for (const [a, b] of [
      [7, 2],
      [6, 0],
      ['batch', 2],
      [6, 'batch'],
      ['batch', 'time'],
      ['3*batch', '2*batch'],
    ] as const)
      expect(quotient(a, b), `${a} / ${b}`).to.equal(undefined)
  })

  it('broadcast: 1 gives way, a number wins, two symbols are a third', () => {
    const fresh = (): string => '?'
    expect(broadcast([[2, 3], [3]], fresh)).to.deep.equal([2, 3])
    expect(broadcast([['N', 1], [4]], fresh)).to.deep.equal(['N', 4])
    expect(broadcast([['N'], ['N']], fresh)).to.deep.equal(['N'])
    expect(broadcast([['N'], ['M']], fresh)).to.deep.equal(['?'])
    expect(broadcast([['N'], [5]], fresh)).to.deep.equal([5])
    expect(broadcast([[], []], fresh)).to.deep.equal([])
    expect(broadcast([['N'], undefined], fresh)).to.equal(undefined)
  })

  it('are the same shape only where every size is', () => {
    expect(sameShape(['N', 2], ['N', 2])).to.equal(true)
    expect(sameShape(['N', 2], ['M', 2])).to.equal(false)
    expect(sameShape(['N'], ['N', 1])).to.equal(false)
    expect(sameShape(undefined, undefined)).to.equal(false)
  })

  it('are static where all are numbers, and axes count from the end', () => {
    expect(staticShape([1, 2])).to.deep.equal([1, 2])
    expect(staticShape(['N', 2])).to.equal(undefined)
    expect([normalizeAxis(-1, 3), normalizeAxis(1, 3)]).to.deep.equal([2, 1])
  })
})
