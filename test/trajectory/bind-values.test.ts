import { expect } from 'chai'
import { BindingError } from '../../src/errors.js'
import type { StoredDType } from '../../src/tensor.js'
import { bind, type Binding, type NetworkTensor } from '../../src/trajectory/bind.js'
import type { Checkpoint } from '../../src/trajectory/checkpoint.js'
import { rejection } from '../support/rejection.js'
import { transpose } from '../support/relaid-checkpoints.js'
import { checkpointOf } from './made-checkpoints.js'

/** Numbers that differ with the tensor and the step. */
function numbers(count: number, seed: number): number[] {
  return Array.from({ length: count }, (_, i) => Math.fround(Math.sin(7.3 * seed + 1.7 * i + 0.1)))
}

interface Made {
  readonly shape: readonly number[]
  readonly values: readonly number[]
}

function made(shape: readonly number[], values: readonly number[] | number): Made {
  const count = shape.reduce((product, size) => product * size, 1)
  return { shape, values: typeof values === 'number' ? numbers(count, values) : values }
}

const filled = (shape: readonly number[], value: number): Made =>
  made(shape, new Array<number>(shape.reduce((product, size) => product * size, 1)).fill(value))

function checkpoint(
  step: number,
  tensors: Readonly<Record<string, Made>>,
  dtype: StoredDType = 'float32',
): Checkpoint {
  const infos = Object.entries(tensors).map(([name, { shape }]) => ({ name, shape, dtype }))
  return checkpointOf(infos, step, Object.fromEntries(Object.entries(tensors).map(([n, t]) => [n, t.values])))
}

function network(
  tensors: Readonly<Record<string, Made>>,
  facts: Readonly<Record<string, Partial<NetworkTensor>>> = {},
): NetworkTensor[] {
  return Object.entries(tensors).map(([name, { shape, values }]) => ({
    name,
    shape,
    dtype: 'float32',
    read: () => Float32Array.from(values),
    ...facts[name],
  }))
}

const tie = (tensors: readonly NetworkTensor[], checkpoints: readonly Checkpoint[]): Promise<Binding> =>
  bind(tensors, checkpoints, { model: 'model.onnx' })

const tensorOf = ({ pairs }: Binding): Record<string, string> =>
  Object.fromEntries(pairs.map(({ parameter, tensor }) => [parameter, tensor]))

/** A tensor with its axes in another order. */
function turned({ shape, values }: Made, permutation: readonly number[]): Made {
  return { shape: permutation.map((axis) => shape[axis]!), values: transpose(values, shape, permutation) }
}

describe('binding by the numbers of the model', () => {
  const kernel = (step: number) => made([3, 2, 4, 5], 10 * step)
  const bias = (step: number) => made([10], 10 * step + 1)
  const run = [0, 1, 2, 3].map((step) => checkpoint(step, { 'conv/k': kernel(step), 'conv/b': bias(step) }))

  for (const step of [0, 1, 2, 3])
    it(`finds the checkpoint that the model was exported from: step ${step}`, async () => {
      const binding = await tie(
        network({ 'W:0': turned(kernel(step), [3, 2, 0, 1]), 'X:0': bias(step) }),
        run,
      )
      expect(binding.how).to.equal(`2 by value from step ${step}, 1 transposed`)
      expect(binding.origin).to.deep.equal({ path: `step-${step}.pt`, step })
      expect(binding.pairs[0]).to.deep.include({
        tensor: 'conv/k',
        name: 'conv/k',
        permutation: [3, 2, 0, 1],
      })
    })

  it('under any order of axes, told apart from all others', async () => {
    const cube = made([3, 3, 3], 5)
    for (const permutation of [
      [0, 2, 1],
      [1, 0, 2],
      [1, 2, 0],
      [2, 0, 1],
      [2, 1, 0],
    ]) {
      const { pairs } = await tie(network({ W: turned(cube, permutation) }), [checkpoint(0, { k: cube })])
      expect(pairs[0]!.permutation).to.deep.equal(permutation)
    }
  })

  it('with axes of size 1 about, and a depthwise kernel whose channels were taken together', async () => {
    const [depthwise, scale] = [made([3, 3, 4, 2], 1), made([12], 2)]
    const merged = { ...turned(depthwise, [2, 3, 0, 1]), shape: [8, 1, 3, 3] }
    const { pairs } = await tie(network({ W: merged, S: { ...scale, shape: [1, 12, 1, 1] } }), [
      checkpoint(0, { 'dw/depthwise_kernel': depthwise, 'bn/gamma': scale }),
    ])
    expect(pairs[0]).to.deep.include({ permutation: [2, 3, 0, 1], reshaped: [8, 1, 3, 3] })
    expect(pairs[1])
      .to.deep.include({ reshaped: [1, 12, 1, 1], shape: [12] })
      .and.not.have.property('permutation')
  })

  it('in half precision, as the checkpoints round', async () => {
    // exact in bfloat16: 8 bits of fraction
    const rounded = made(
      [4, 4],
      numbers(16, 3).map((value) => Math.round(value * 64) / 64),
    )
    const precise = made(
      [4, 4],
      rounded.values.map((value) => Math.fround(value * (1 + 2 ** -12))),
    )
    const { pairs } = await tie(network({ W: turned(precise, [1, 0]) }), [
      checkpoint(0, { k: rounded }, 'bfloat16'),
    ])
    expect(pairs[0]!.permutation).to.deep.equal([1, 0])
    const error = await rejection(tie(network({ W: precise }), [checkpoint(0, { k: rounded })]))
    expect(error).to.be.instanceOf(BindingError)
  })

  it('a square weight of one name on both sides lies as numbers say, whatever its name stands for', async () => {
    const square = made([4, 4], 9)
    const use = { kind: 'dense', axes: ['input', 'output'] } as const
    const asItIs = await tie(network({ 'fc.weight': square }, { 'fc.weight': { use } }), [
      checkpoint(0, { 'fc.weight': square }),
    ])
    expect(asItIs.pairs[0]).to.not.have.property('permutation')
    const folded = await tie(network({ 'fc.weight': turned(square, [1, 0]) }, { 'fc.weight': { use } }), [
      checkpoint(0, { 'fc.weight': square }),
    ])
    expect(folded.pairs[0]!.permutation).to.deep.equal([1, 0])
  })

  it('equal numbers by chance are told apart by names', async () => {
    const zeros = filled([16], 0)
    const names = ['fc1', 'fc2', 'fc3']
    const tensors = Object.fromEntries(names.map((name) => [`${name}/bias`, zeros]))
    const parameters = Object.fromEntries(
      names.map((name) => [`net/${name}/BiasAdd/ReadVariableOp:0`, zeros]),
    )
    const binding = await tie(network({ ...parameters, K: made([16, 2], 1) }), [
      checkpoint(0, { ...tensors, 'fc1/kernel': made([16, 2], 1) }),
    ])
    for (const name of names)
      expect(tensorOf(binding)[`net/${name}/BiasAdd/ReadVariableOp:0`]).to.equal(`${name}/bias`)
  })

  it('equal numbers by chance are told apart by the layer that the graph shows', async () => {
    const zeros = filled([6], 0)
    const [a, b] = [made([6, 3], 1), made([6, 4], 2)]
    const beside = (name: string): Partial<NetworkTensor> => ({ neighbours: new Set([name]) })
    const binding = await tie(
      network(
        { 'a.weight': a, 'b.weight': b, val_0: zeros, val_1: zeros },
        { val_0: beside('b.weight'), val_1: beside('a.weight') },
      ),
      [checkpoint(0, { 'a.weight': a, 'b.weight': b, 'a.bias': zeros, 'b.bias': zeros })],
    )
    // val_0 and val_1 score by the layer of their neighbours alone
    expect(tensorOf(binding)).to.deep.include({ val_0: 'b.bias', val_1: 'a.bias' })
  })

  it('a number that the exporter may have put behind every name does not decide, the layer does', async () => {
    const zeros = filled([6], 0)
    const [a, b] = [made([6, 3], 1), made([6, 4], 2)]
    const run = [
      checkpoint(0, { 'dense/kernel': a, 'dense/bias': zeros, 'dense_1/kernel': b, 'dense_1/bias': zeros }),
    ]
    // Keras 3 calls the layers dense and dense_1 so
    const parameters = { 'dense_1/W:0': a, 'dense_1/B:0': zeros, 'dense_1_1/W:0': b, 'dense_1_1/B:0': zeros }
    const error = await rejection(tie(network(parameters), run))
    expect(error.message).to.match(/either could be the other: dense\/bias as dense_1\/B:0/)
    const beside = (name: string): Partial<NetworkTensor> => ({ neighbours: new Set([name]) })
    const known = { 'dense_1/B:0': beside('dense_1/W:0'), 'dense_1_1/B:0': beside('dense_1_1/W:0') }
    expect(tensorOf(await tie(network(parameters, known), run))).to.deep.equal({
      'dense_1/W:0': 'dense/kernel',
      'dense_1/B:0': 'dense/bias',
      'dense_1_1/W:0': 'dense_1/kernel',
      'dense_1_1/B:0': 'dense_1/bias',
    })
  })

  it('equal numbers that nothing tells apart are refused, with the remedy', async () => {
    const zeros = filled([16], 0)
    const error = await rejection(
      tie(network({ X: zeros, Y: zeros, K: made([16, 2], 1) }), [
        checkpoint(5, { p: zeros, q: zeros, k: made([16, 2], 1) }),
      ]),
    )
    expect(error).to.be.instanceOf(BindingError)
    expect(error.message).to.match(/either could be the other: p as X, p as Y, q as X, q as Y/)
    expect(error.message).to.match(/export the model from a later checkpoint than step 5/)
  })

  it('what is left over after all others is bound', async () => {
    const ones = filled([16], 1)
    const binding = await tie(network({ X: ones, K: made([16, 2], 1) }), [
      checkpoint(0, { gain: ones, k: made([16, 2], 1) }),
    ])
    expect(tensorOf(binding)).to.deep.equal({ X: 'gain', K: 'k' })
  })

  it('a bias of zeros that the exporter dropped is named', async () => {
    const error = await rejection(
      tie(network({ K: made([16, 2], 1) }), [
        checkpoint(0, { k: made([16, 2], 1), 'fc/bias': filled([2], 0) }),
      ]),
    )
    expect(error.message).to.match(/all zero at step 0, .*: fc\/bias \(exporters drop a bias of zeros\)/)
    expect(error.message).to.match(/export the model from a later checkpoint/)
  })

  it("a recurrent kernel whose gates were put in ONNX's order is recognised and refused", async () => {
    const units = 3
    const kernel = made([2, 4 * units], 4)
    // i, f, c, o of Keras to i, o, f, c of ONNX
    const columns = [0, 3, 1, 2].flatMap((gate) => Array.from({ length: units }, (_, i) => gate * units + i))
    const values = columns.flatMap((column) => [0, 1].map((row) => kernel.values[row * 4 * units + column]!))
    const error = await rejection(
      tie(
        network({ W: { shape: [1, 4 * units, 2], values } }, { W: { use: { kind: 'recurrent', axes: [] } } }),
        [checkpoint(0, { 'lstm/lstm_cell/kernel': kernel })],
      ),
    )
    expect(error).to.be.instanceOf(BindingError)
    expect(error.message).to.match(/lstm\/lstm_cell\/kernel as W hold the same numbers in an order/)
    expect(error.message).to.match(/gates of a recurrent layer/)
  })

  it('a tensor that is saved twice, for two uses of one weight, is bound once', async () => {
    const table = (step: number) => made([5, 4], step + 1)
    const run = [0, 1].map((step) =>
      checkpoint(step, { 'wte.weight': table(step), 'head.weight': table(step) }),
    )
    const { pairs, tied } = await tie(network({ 'wte.weight': table(7) }), run)
    expect(pairs.map(({ tensor }) => tensor)).to.deep.equal(['wte.weight'])
    expect(tied).to.deep.equal([{ tensor: 'head.weight', same: 'wte.weight' }])
  })

  it('a tensor that equals another at first only is a weight of its own', async () => {
    const both = (a: number, b: number) => ({
      'online.weight': made([5, 4], a),
      'target.weight': made([5, 4], b),
    })
    const run = [checkpoint(0, both(1, 1)), checkpoint(1, both(2, 3))]
    const error = await rejection(tie(network({ 'online.weight': made([5, 4], 7) }), run))
    expect(error.message).to.match(/without a place: target\.weight/)
  })

  it('no tensor is bound by shape where the model holds the numbers of a checkpoint', async () => {
    const kernel = made([5, 4], 2)
    const error = await rejection(
      tie(network({ 'a.weight': made([3, 4], 1), 'a.bias': made([9], 8), val_0: made([4, 5], 7) }), [
        checkpoint(0, { 'a.weight': made([3, 4], 1), 'a.bias': made([9], 8), 'b.weight': kernel }),
      ]),
    )
    expect(error.message).to.match(/without a place: b\.weight \(5 x 4\)/)
  })

  it('reads no numbers where names do', async () => {
    const kernel = made([5, 4], 2)
    const one = checkpoint(0, { 'a.weight': kernel })
    const unread: Checkpoint = { ...one, read: () => Promise.reject(new Error('read')) }
    const parameter: NetworkTensor = {
      name: 'a.weight',
      shape: [5, 4],
      dtype: 'float32',
      read: () => {
        throw new Error('read')
      },
    }
    expect((await tie([parameter], [unread])).how).to.equal('by name')
  })

  it('reads each tensor of the checkpoint once, beside the few that the checkpoint is known by', async () => {
    const sizes = [12, 13, 14, 15, 16, 17, 18, 19]
    const tensors = Object.fromEntries(sizes.map((size) => [`t${size}`, made([size], size)]))
    const parameters = Object.fromEntries(sizes.map((size) => [`P${size}:0`, made([size], size)]))
    const reads = new Map<string, number>()
    const one = checkpoint(0, tensors)
    const counted: Checkpoint = {
      ...one,
      read: (name) => {
        reads.set(name, (reads.get(name) ?? 0) + 1)
        return one.read(name)
      },
    }
    await tie(network(parameters), [counted])
    const total = [...reads.values()].reduce((sum, count) => sum + count, 0)
    expect(total).to.be.at.most(sizes.length + 3)
  })
})
