import { expect } from 'chai'

import { BindingError } from '../../src/errors.js'
import type { DType } from '../../src/tensor.js'
import { bind, type Binding, type NetworkTensor } from '../../src/trajectory/bind.js'
import { rejection } from '../support/rejection.js'
import { checkpointOf } from './made-checkpoints.js'

type Shapes = Readonly<Record<string, readonly number[]>>

const tensorsOf = (shapes: Shapes, dtype: DType = 'float32'): NetworkTensor[] =>
  Object.entries(shapes).map(([name, shape]) => ({ name, shape, dtype }))

function bindShapes(network: Shapes, checkpoint: Shapes, counters: Shapes = {}): Promise<Binding> {
  const tensors = [...tensorsOf(checkpoint), ...tensorsOf(counters, 'int64')]
  return bind(tensorsOf(network), [checkpointOf(tensors, 1)], { model: 'model.onnx' })
}

async function refusal(network: Shapes, checkpoint: Shapes, counters: Shapes = {}): Promise<string> {
  const error = await rejection(bindShapes(network, checkpoint, counters))
  expect(error).to.be.instanceOf(BindingError)
  return error.message
}

/** Names of both sides. */
const namesOf = ({ pairs }: Binding): [string, string][] =>
  pairs.map(({ parameter, tensor }) => [parameter, tensor])

const linear = { 'fc1.weight': [100, 784], 'fc1.bias': [100], 'fc2.weight': [10, 100], 'fc2.bias': [10] }

function renamed(shapes: Shapes, rename: (name: string) => string): Shapes {
  return Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [rename(name), shape]))
}

describe('binding checkpoints to a network', () => {
  it('goes by equal names, in the order of the network', async () => {
    const shuffled = Object.fromEntries(Object.entries(linear).reverse())
    const binding = await bindShapes(linear, shuffled)
    expect(binding.how).to.equal('by name')
    expect(namesOf(binding)).to.deep.equal(Object.keys(linear).map((name) => [name, name]))
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
    ['module. within a name', (name) => name.replace('fc1.', 'fc1.module.'), "'module.' from"],
    ['torch.compile within a name', (name) => name.replace('fc1.', 'fc1._orig_mod.'), "'_orig_mod.' from"],
  ]
  for (const [what, rename, stripped] of PREFIXES) {
    it(`strips ${what} from the checkpoint's names, and says so`, async () => {
      const binding = await bindShapes(linear, renamed(linear, rename))
      expect(binding.how).to.equal(`by name, after stripping ${stripped} the checkpoint's names`)
      expect(namesOf(binding)).to.deep.equal(Object.keys(linear).map((name) => [name, rename(name)]))
      expect(binding.pairs.map(({ name }) => name)).to.deep.equal(Object.keys(linear))
    })
  }

  it("strips a wrapper module from the network's names, beside constants of its own", async () => {
    const network = { ...renamed(linear, (name) => `m.net.${name}`), scale: [1] }
    const { how, constants } = await bindShapes(network, linear)
    expect(how).to.equal("by name, after stripping 'm.net.' from the network's names")
    expect(constants).to.deep.equal(['scale'])
  })

  it('keeps module as a name where it is one in the network too', async () => {
    const network = renamed(linear, (name) => `module.${name}`)
    expect((await bindShapes(network, network)).how).to.equal('by name')
  })

  it('reports constants of the network and counters of the checkpoint', async () => {
    const { constants, ignored } = await bindShapes({ ...linear, eps: [] }, linear, {
      'bn.num_batches_tracked': [],
    })
    expect(constants).to.deep.equal(['eps'])
    expect(ignored).to.deep.equal(['bn.num_batches_tracked'])
  })

  it('does not exchange one chosen name for another', async () => {
    const encoder = renamed(linear, (name) => `encoder.${name}`)
    const decoder = renamed(linear, (name) => `decoder.${name}`)
    expect(await refusal(decoder, encoder)).to.include('decoder.fc1.weight')
  })

  it('does not guess between two parts of the network that both fit', async () => {
    const twice = { ...renamed(linear, (name) => `a.${name}`), ...renamed(linear, (name) => `b.${name}`) }
    expect(await refusal(twice, linear)).to.include('fits model.onnx in more than one way')
  })

  const under = (prefix: string): Shapes => renamed(linear, (name) => prefix + name)
  const fold = { 'bn.weight': [8], 'bn.bias': [8], 'bn.running_mean': [8], 'bn.running_var': [8] }

  it('takes a network that was exported from a submodule for that, and leaves out what is beside it', async () => {
    const checkpoint = { ...under('generator.'), 'discriminator.0.weight': [7, 9], ...fold }
    const binding = await bindShapes(linear, checkpoint)
    expect(binding.submodule).to.deep.equal({ prefix: 'generator.', outside: 5 })
    expect(namesOf(binding)).to.deep.equal(Object.keys(linear).map((name) => [name, `generator.${name}`]))
  })

  it('takes the weights before their average', async () => {
    const { submodule } = await bindShapes(linear, { ...under('ema.'), ...under('net.') })
    expect(submodule).to.deep.equal({ prefix: 'net.', outside: 4 })
  })

  it('does not guess between submodules that both fit; one tensor in a map tells', async () => {
    const both = { ...under('student.'), ...under('teacher.') }
    expect(await refusal(linear, both)).to.include("under 'student.' or under 'teacher.'")
    const { submodule } = await bind(tensorsOf(linear), [checkpointOf(tensorsOf(both), 1)], {
      model: 'model.onnx',
      map: { 'fc1.bias': 'teacher.fc1.bias' },
    })
    expect(submodule).to.deep.equal({ prefix: 'teacher.', outside: 4 })
  })

  it('takes nothing for a submodule that keeps its name in the network, beside a BatchNorm that may be folded', async () => {
    const features = under('features.')
    const message = await refusal(features, { ...features, ...fold })
    expect(message).to.include('the exporter folded BatchNorm')
    expect(message).not.to.include('--map')
  })

  it('leaves out what never moves and has no place, but not what moves or may be in the network otherwise', async () => {
    const bindTwo = (extra: Shapes, last: number, network: Shapes = linear): Promise<Binding> => {
      const tensors = tensorsOf({ ...linear, ...extra })
      const [name] = Object.keys(extra)
      return bind(
        tensorsOf(network),
        [checkpointOf(tensors, 1, { [name!]: [1, 2] }), checkpointOf(tensors, 2, { [name!]: [1, last] })],
        { model: 'model.onnx' },
      )
    }
    expect((await bindTwo({ 'crit.weight': [2] }, 2)).unmoved).to.deep.equal(['crit.weight'])
    const moved = await rejection(bindTwo({ 'crit.weight': [2] }, 3))
    expect(moved.message).to.include('export the submodule that is used by itself')
    const folded = await rejection(bindTwo({ 'bn.running_var': [2] }, 2))
    expect(folded.message).to.include('the exporter folded BatchNorm')
    expect(await rejection(bindTwo({ 'crit.weight': [2] }, 2, { ...linear, other: [2] }))).to.be.instanceOf(
      BindingError,
    )
  })

  it('refuses a float tensor without a place', async () => {
    expect(await refusal(linear, { ...linear, 'ema.weight': [3] })).to.include(
      'in the checkpoint without a place: ema.weight (3)',
    )
  })

  it('shows both shapes where they differ', async () => {
    expect(await refusal(linear, { ...linear, 'fc2.bias': [12] })).to.include(
      'fc2.bias: network 10, checkpoint 12',
    )
  })

  it('recognises BatchNorm that the exporter folded away, and gives the line to export with', async () => {
    const checkpoint = {
      'conv.weight': [8, 1, 3, 3],
      'bn.weight': [8],
      'bn.bias': [8],
      'bn.running_mean': [8],
      'bn.running_var': [8],
    }
    const message = await refusal({ 'conv.weight': [8, 1, 3, 3], 'conv.weight_bias': [8] }, checkpoint)
    expect(message).to.include('the exporter folded BatchNorm into the layer before it')
    expect(message).to.include(
      'dynamo=True, optimize=False, dynamic_shapes=({0: torch.export.Dim("batch")},))',
    )
  })

  it('transposes Linear weights that the exporter transposed, renamed or not', async () => {
    const checkpoint = { 'fc1.weight': [100, 784], 'fc1.bias': [100] }
    for (const name of ['val_3', 'fc1.weight', 'onnx::MatMul_12']) {
      const { pairs, how } = await bindShapes({ [name]: [784, 100], 'fc1.bias': [100] }, checkpoint)
      expect(pairs[0]).to.include({ parameter: name, tensor: 'fc1.weight', name: 'fc1.weight' })
      expect(pairs[0]).to.deep.include({ permutation: [1, 0], shape: [100, 784] })
      expect(how).to.match(/1 transposed$/)
    }
  })

  it('recognises transposed Linear weights that could be each other, and refuses to guess', async () => {
    const network = { val_3: [784, 100], val_5: [784, 100] }
    const message = await refusal(network, { 'a.weight': [100, 784], 'b.weight': [100, 784] })
    expect(message).to.include('the exporter transposed the weights of Linear layers')
    expect(message).to.include('optimize=False')
  })

  it('lists ten names and the number of the rest', async () => {
    const many = Object.fromEntries(Array.from({ length: 13 }, (_, i) => [`layer${i}.weight`, [2]]))
    expect(await refusal({ other: [2] }, many)).to.match(/layer9\.weight \(2\) and 3 more/)
  })

  it('refuses a checkpoint without float tensors', async () => {
    expect(await refusal(linear, {}, { counter: [] })).to.include('holds no float tensors')
  })
})
