import { expect } from 'chai'

import { BindingError } from '../../src/errors.js'
import type { DType } from '../../src/tensor.js'
import { bind, type Binding, type NetworkTensor } from '../../src/trajectory/bind.js'

type Shapes = Readonly<Record<string, readonly number[]>>

const tensorsOf = (shapes: Shapes, dtype: DType = 'float32'): NetworkTensor[] =>
  Object.entries(shapes).map(([name, shape]) => ({ name, shape, dtype }))

function bindShapes(network: Shapes, checkpoint: Shapes, counters: Shapes = {}): Binding {
  const tensors = [...tensorsOf(checkpoint), ...tensorsOf(counters, 'int64')]
  const files = { model: 'model.onnx', checkpoint: 'step-1.pt' }
  return bind(tensorsOf(network), new Map(tensors.map((tensor) => [tensor.name, tensor])), files)
}

const linear = { 'fc1.weight': [100, 784], 'fc1.bias': [100], 'fc2.weight': [10, 100], 'fc2.bias': [10] }

function renamed(shapes: Shapes, rename: (name: string) => string): Shapes {
  return Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [rename(name), shape]))
}

describe('binding checkpoints to a network', () => {
  it('goes by equal names, in the order of the network', () => {
    const shuffled = Object.fromEntries(Object.entries(linear).reverse())
    const { pairs, how } = bindShapes(linear, shuffled)
    expect(how).to.equal('by name')
    expect(pairs).to.deep.equal(Object.keys(linear).map((name) => ({ parameter: name, tensor: name })))
  })

  const PREFIXES: readonly [string, (name: string) => string, string][] = [
    ['module. of data parallel training', (name) => `module.${name}`, "'module.' from"],
    ['model. of Lightning', (name) => `model.${name}`, "'model.' from"],
    ['several prefixes in a row', (name) => `_orig_mod.module.${name}`, "'_orig_mod.' and 'module.' from"],
    [
      'a scope of TensorFlow and :0',
      (name) => `sequential_network/${name}:0`,
      "':0' and 'sequential_network/' from",
    ],
    ['torch.compile within a name', (name) => name.replace('fc1.', 'fc1._orig_mod.'), "'_orig_mod.' from"],
  ]
  for (const [what, rename, stripped] of PREFIXES) {
    it(`strips ${what} from the checkpoint's names, and says so`, () => {
      const { pairs, how } = bindShapes(linear, renamed(linear, rename))
      expect(how).to.equal(`by name, after stripping ${stripped} the checkpoint's names`)
      expect(pairs).to.deep.equal(
        Object.keys(linear).map((name) => ({ parameter: name, tensor: rename(name) })),
      )
    })
  }

  it("strips a wrapper module from the network's names, beside constants of its own", () => {
    const network = { ...renamed(linear, (name) => `m.net.${name}`), scale: [1] }
    const { how, constants } = bindShapes(network, linear)
    expect(how).to.equal("by name, after stripping 'm.net.' from the network's names")
    expect(constants).to.deep.equal(['scale'])
  })

  it('keeps module as a name where it is one in the network too', () => {
    const network = renamed(linear, (name) => `module.${name}`)
    expect(bindShapes(network, network).how).to.equal('by name')
  })

  it('reports constants of the network and counters of the checkpoint', () => {
    const { constants, ignored } = bindShapes({ ...linear, eps: [] }, linear, {
      'bn.num_batches_tracked': [],
    })
    expect(constants).to.deep.equal(['eps'])
    expect(ignored).to.deep.equal(['bn.num_batches_tracked'])
  })

  it('does not exchange one chosen name for another', () => {
    const encoder = renamed(linear, (name) => `encoder.${name}`)
    expect(() =>
      bindShapes(
        renamed(linear, (name) => `decoder.${name}`),
        encoder,
      ),
    ).to.throw(BindingError)
  })

  it('does not guess between two parts of the network that both fit', () => {
    const twice = { ...renamed(linear, (name) => `a.${name}`), ...renamed(linear, (name) => `b.${name}`) }
    expect(() => bindShapes(twice, linear)).to.throw(BindingError, 'fits model.onnx in more than one way')
  })

  it('refuses a float tensor without a place', () => {
    expect(() => bindShapes(linear, { ...linear, 'ema.weight': [3] })).to.throw(
      BindingError,
      'in the checkpoint without a place: ema.weight (3)',
    )
  })

  it('shows both shapes where they differ', () => {
    expect(() => bindShapes(linear, { ...linear, 'fc2.bias': [12] })).to.throw(
      BindingError,
      'fc2.bias: network 10, checkpoint 12',
    )
  })

  it('recognises BatchNorm that the exporter folded away, and gives the line to export with', () => {
    const checkpoint = {
      'conv.weight': [8, 1, 3, 3],
      'bn.weight': [8],
      'bn.bias': [8],
      'bn.running_mean': [8],
      'bn.running_var': [8],
    }
    const network = { 'conv.weight': [8, 1, 3, 3], 'conv.weight_bias': [8] }
    const check = (): Binding => bindShapes(network, checkpoint)
    expect(check).to.throw(BindingError, 'the exporter folded BatchNorm into the layer before it')
    expect(check).to.throw('dynamo=True, optimize=False, dynamic_shapes=({0: torch.export.Dim("batch")},))')
  })

  it('recognises Linear weights that the exporter transposed, renamed or not', () => {
    const invented = { val_3: [784, 100], 'fc1.bias': [100] }
    const kept = { 'fc1.weight': [784, 100], 'fc1.bias': [100] }
    const checkpoint = { 'fc1.weight': [100, 784], 'fc1.bias': [100] }
    for (const network of [invented, kept, { 'onnx::MatMul_12': [784, 100], 'fc1.bias': [100] }]) {
      expect(() => bindShapes(network, checkpoint)).to.throw(
        'the exporter transposed the weights of Linear layers',
      )
    }
  })

  it('lists ten names and the number of the rest', () => {
    const many = Object.fromEntries(Array.from({ length: 13 }, (_, i) => [`layer${i}.weight`, [2]]))
    expect(() => bindShapes({ other: [2] }, many)).to.throw(/layer9\.weight \(2\) and 3 more/)
  })

  it('refuses a checkpoint without float tensors', () => {
    expect(() => bindShapes(linear, {}, { counter: [] })).to.throw(BindingError, 'holds no float tensors')
  })
})
