import { expect } from 'chai'
import { conventionOf, ownerOf, translations } from '../../src/trajectory/translate.js'

describe("a tensor's name in PyTorch's words", () => {
  const CASES: readonly [name: string, ...words: string[]][] = [
    ['conv1/kernel', 'conv1.weight'],
    ['conv1/kernel:0', 'conv1.weight'],
    ['params/conv1/kernel', 'conv1.weight'],
    ['params/block_0/conv1/kernel', 'block_0.conv1.weight'],
    ['batch_stats/bn/mean', 'bn.running_mean'],
    ['batch_stats/bn/var', 'bn.running_var'],
    ['params/ln/scale', 'ln.weight'],
    ['bn/gamma', 'bn.weight'],
    ['bn/beta', 'bn.bias'],
    ['bn/moving_mean', 'bn.running_mean'],
    ['bn/moving_variance', 'bn.running_var'],
    ['emb/embeddings', 'emb.weight'],
    ['params/wte/embedding', 'wte.weight'],
    ['sep/depthwise_kernel', 'sep.weight', 'sep.depthwise.weight'],
    ['sep/pointwise_kernel', 'sep.pointwise.weight'],
    ['net/conv1/kernel/.ATTRIBUTES/VARIABLE_VALUE', 'net.conv1.weight'],
    ['conv1.weight', 'conv1.weight'],
    ['kernel', 'weight'],
    ['constructor', 'constructor'],
  ]
  for (const [name, ...words] of CASES)
    it(name, () => {
      expect(translations(name, { repeats: false })).to.deep.equal(words)
    })

  it('counts a layer that Keras names twice once', () => {
    const once = (name: string): string[] => translations(name, { repeats: true })
    expect(once('conv1/conv1/kernel:0')).to.deep.equal(['conv1.weight'])
    expect(once('conv1/network/conv1/kernel')).to.deep.equal(['conv1.weight'])
    expect(once('model_weights/conv1/network/conv1/bias')).to.deep.equal(['model_weights.conv1.bias'])
    expect(once('conv1/kernel')).to.deep.equal(['conv1.weight'])
  })

  it("tells the layout: Keras' and Flax' kernels have their outputs last, PyTorch's weights first", () => {
    expect(conventionOf('params/fc/kernel')).to.equal('outputs last')
    expect(conventionOf('fc/kernel:0')).to.equal('outputs last')
    expect(conventionOf('layers/dense/vars/0')).to.equal('outputs last')
    expect(conventionOf('fc.weight')).to.equal('outputs first')
    expect(conventionOf('fc.bias')).to.equal(undefined)
    expect(conventionOf('W')).to.equal(undefined)
  })

  it('tells the layer', () => {
    expect(ownerOf('conv1/kernel:0')).to.equal('conv1')
    expect(ownerOf('h.0.proj.weight')).to.equal('h.0.proj')
    expect(ownerOf('scale')).to.equal('')
  })
})
