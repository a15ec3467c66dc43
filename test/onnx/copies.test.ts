import { expect } from 'chai'
import { findCopies } from '../../src/onnx/copies.js'
import { onnxCode } from '../../src/onnx/dtypes.js'
import type { Graph } from '../../src/onnx/graph.js'
import { constantOf } from '../../src/onnx/from-proto.js'

const VALUES = Array.from({ length: 12 }, (_, i) => Math.sin(i + 1))

function graph(tensors: Readonly<Record<string, readonly number[]>>, read: readonly string[]): Graph {
  const initializer = (values: readonly number[]) =>
    constantOf([values.length], onnxCode('float32'), new Uint8Array(Float32Array.from(values).buffer))
  return {
    name: 'g',
    irVersion: 8,
    opsets: new Map([['', 18]]),
    inputs: [],
    outputs: [],
    initializers: new Map(Object.entries(tensors).map(([name, values]) => [name, initializer(values)])),
    nodes: [{ name: '', domain: '', op: 'Sum', inputs: read, outputs: ['y'], attributes: new Map() }],
    functions: [],
  }
}

describe('copies of weights among the constants', () => {
  it('are found whatever their layout', () => {
    const transposed = [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11].map((i) => VALUES[i]!)
    const both = graph({ w: VALUES, v: [...VALUES].fill(2), t: transposed }, ['w', 'v', 't'])
    expect(findCopies(both, ['v', 'w'], ['t'])).to.deep.equal([{ constant: 't', weight: 'w' }])
  })

  it('are no copies when a number differs, or when no node reads them', () => {
    const other = graph({ w: VALUES, t: VALUES.with(3, 0.5) }, ['w', 't'])
    expect(findCopies(other, ['w'], ['t'])).to.deep.equal([])
    expect(findCopies(graph({ w: VALUES, t: VALUES }, ['w']), ['w'], ['t'])).to.deep.equal([])
  })

  it('are not taken from arrays of few different values: zeros are equal by chance', () => {
    const zeros = new Array<number>(12).fill(0)
    expect(findCopies(graph({ w: zeros, t: zeros }, ['w', 't']), ['w'], ['t'])).to.deep.equal([])
  })
})
