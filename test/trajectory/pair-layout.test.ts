import { expect } from 'chai'
import type { AxisMeaning, WeightUse } from '../../src/onnx/weight-use.js'
import { pairLayout } from '../../src/trajectory/pair-layout.js'

const ROWS: WeightUse = { kind: 'dense', axes: ['output', 'input'] }
const COLUMNS: WeightUse = { kind: 'dense', axes: ['input', 'output'] }
const windows = (count: number): AxisMeaning[] => new Array<AxisMeaning>(count).fill('window')
const conv = (rank: number): WeightUse => ({
  kind: 'convolution',
  axes: ['output', 'input', ...windows(rank - 2)],
})
const convTranspose: WeightUse = {
  kind: 'transposed convolution',
  axes: ['input', 'output', ...windows(2)],
}

/** The order of axes, `as it is`, or undefined where the pair does not fit. */
function orderOf(
  network: readonly [name: string, shape: readonly number[], use?: WeightUse],
  checkpoint: readonly [name: string, shape: readonly number[]],
): readonly number[] | 'as it is' | undefined {
  const [name, shape, use] = network
  const fit = pairLayout({ name, shape, ...(use && { use }) }, { name: checkpoint[0], shape: checkpoint[1] })
  return fit && (fit.layout.permutation ?? 'as it is')
}

describe('how a kernel lies, by its name in the checkpoints and its use in the network', () => {
  describe('square, so that only the convention tells', () => {
    const square = [4, 4]
    const CASES: readonly [string, string, string, WeightUse, readonly number[] | 'as it is'][] = [
      ["Keras' kernel, outputs in rows", 'fc/kernel', 'fc.weight', ROWS, [1, 0]],
      ["Keras' kernel, outputs in columns", 'fc/kernel', 'fc.weight', COLUMNS, 'as it is'],
      ["PyTorch's weight, outputs in rows", 'fc.weight', 'dense/kernel', ROWS, 'as it is'],
      ["PyTorch's weight, outputs in columns", 'fc.weight', 'dense/kernel', COLUMNS, [1, 0]],
      ["Flax' kernel under its own name, outputs in rows", 'params/fc/kernel', 'fc.kernel', ROWS, [1, 0]],
      ['a weight that an exporter renamed, outputs in columns', 'fc.weight', 'val_3', COLUMNS, [1, 0]],
    ]
    for (const [title, tensor, parameter, use, order] of CASES)
      it(title, () => {
        expect(orderOf([parameter, square, use], [tensor, square])).to.deep.equal(order)
      })

    it("a weight of one name on both sides is the checkpoint's own, with inputs first as in GPT-2", () => {
      const fit = pairLayout(
        { name: 'h.0.c_proj.weight', shape: square, use: COLUMNS },
        { name: 'h.0.c_proj.weight', shape: square },
      )
      expect(fit).to.deep.equal({ layout: {}, alternative: { permutation: [1, 0] } })
    })
  })

  it('where shapes tell, they do, whatever the convention', () => {
    expect(orderOf(['c.weight', [8, 24], COLUMNS], ['c.weight', [8, 24]])).to.equal('as it is')
    expect(orderOf(['c.weight', [24, 8], ROWS], ['c.kernel', [24, 8]])).to.equal('as it is')
    expect(orderOf(['c.weight', [24, 8], ROWS], ['c/kernel', [8, 24]])).to.deep.equal([1, 0])
    expect(orderOf(['c.weight', [24, 8], ROWS], ['c/kernel', [8, 25]])).to.equal(undefined)
  })

  it('convolutions of one, two and three windows', () => {
    expect(orderOf(['c.weight', [5, 4, 3], conv(3)], ['c/kernel', [3, 4, 5]])).to.deep.equal([2, 1, 0])
    expect(orderOf(['c.weight', [5, 4, 3, 2], conv(4)], ['c/kernel', [3, 2, 4, 5]])).to.deep.equal([
      3, 2, 0, 1,
    ])
    expect(orderOf(['c.weight', [5, 4, 3, 2, 1], conv(5)], ['c/kernel', [3, 2, 1, 4, 5]])).to.deep.equal([
      4, 3, 0, 1, 2,
    ])
    expect(orderOf(['c/kernel', [3, 3, 3, 3], conv(4)], ['c/kernel', [3, 3, 3, 3]])).to.deep.equal([
      3, 2, 0, 1,
    ])
    expect(orderOf(['c.weight', [3, 3, 3, 3], conv(4)], ['c.weight', [3, 3, 3, 3]])).to.equal('as it is')
  })

  it("transposed convolutions: Keras' lies as PyTorch's reversed, Flax' is mirrored and refused", () => {
    const network = ['up.weight', [4, 5, 3, 2], convTranspose] as const
    expect(orderOf(network, ['up/kernel', [3, 2, 5, 4]])).to.deep.equal([3, 2, 0, 1])
    expect(orderOf(network, ['up.weight', [4, 5, 3, 2]])).to.equal('as it is')
    expect(orderOf(network, ['params/up/kernel', [3, 2, 4, 5]])).to.equal(undefined)
  })

  it('depthwise kernels of Keras, and of Flax, whose kernel has one input channel', () => {
    const network = ['dw.weight', [6, 1, 3, 2], conv(4)] as const
    expect(orderOf(network, ['dw/depthwise_kernel', [3, 2, 3, 2]])).to.deep.equal([2, 3, 0, 1])
    expect(orderOf(network, ['params/dw/kernel', [3, 2, 1, 6]])).to.deep.equal([3, 2, 0, 1])
  })

  it('an embedding has a row each in every framework', () => {
    const use: WeightUse = { kind: 'embedding', axes: ['input', 'output'] }
    expect(orderOf(['e.weight', [7, 7], use], ['e/embeddings', [7, 7]])).to.equal('as it is')
    expect(orderOf(['e.weight', [7, 7], ROWS], ['e/embedding', [7, 7]])).to.equal('as it is')
  })

  it('recurrent kernels are not translated: their gates have an order of their own', () => {
    const use: WeightUse = { kind: 'recurrent', axes: [] }
    expect(orderOf(['l.weight', [8, 32], use], ['l/kernel', [8, 32]])).to.equal(undefined)
    expect(orderOf(['l.weight_ih_l0', [32, 8], use], ['l.weight_ih_l0', [32, 8]])).to.equal('as it is')
  })

  it('a square kernel of which neither side tells how it lies is not bound by name', () => {
    expect(orderOf(['val_3', [4, 4]], ['fc/kernel', [4, 4]])).to.equal(undefined)
    expect(orderOf(['W', [4, 4]], ['W', [4, 4]])).to.equal('as it is')
  })

  it('a vector may stand among axes of size 1', () => {
    expect(orderOf(['b', [1, 4, 1, 1]], ['bn/bias', [4]])).to.equal('as it is')
    expect(orderOf(['b', [1, 5, 1, 1]], ['bn/bias', [4]])).to.equal(undefined)
  })
})
