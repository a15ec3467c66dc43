import { join } from 'node:path'
import { expect } from 'chai'
import { BindingError } from '../../src/errors.js'
import { readModel } from '../../src/onnx/read.js'
import { networkTensors } from '../../src/replay/binding.js'
import { bind } from '../../src/trajectory/bind.js'
import { openTrajectory } from '../../src/trajectory/open-trajectory.js'
import { removeFolders, newFolder } from '../cli/command.js'
import { rejection } from '../support/rejection.js'
import { kerasNames, relaid } from '../support/relaid-checkpoints.js'

const FORMATS = 'fixtures/formats'

async function refusal(model: string, checkpoints = join(FORMATS, 'safetensors')): Promise<string> {
  const trajectory = await openTrajectory(checkpoints)
  const network = networkTensors(await readModel(join(FORMATS, model)))
  const error = await rejection(bind(network, trajectory.checkpoints, { model }))
  expect(error).to.be.instanceOf(BindingError)
  return error.message
}

describe('BatchNorm that an exporter folded is proven by numbers', () => {
  after(removeFolders)
  const folded = 'scale \\/ sqrt\\(variance \\+ epsilon\\)'

  it('PyTorch: into a convolution that keeps its name', async () => {
    const message = await refusal('model-optimized.onnx')
    expect(message).to.match(
      new RegExp(
        `at step 30 the network's conv2\\.weight is the checkpoint's conv2\\.weight times bn's ${folded}`,
      ),
    )
    expect(message).to.match(/optimize=False/)
  })

  it('Keras on TensorFlow: into a factor', async () => {
    const message = await refusal('keras.onnx')
    expect(message).to.match(new RegExp(`batchnorm\\/mul:0 holds bn's ${folded}`))
    expect(message).to.match(/write the network in PyTorch under the names of the layers/)
  })

  it('Keras on PyTorch: into a factor without a name', async () => {
    expect(await refusal('keras-torch.onnx')).to.match(new RegExp(`onnx::Mul_160 holds bn's ${folded}`))
  })

  it('tf2onnx: into a convolution of another name, with the line that keeps it from that', async () => {
    const message = await refusal('tf-keras.onnx')
    expect(message).to.match(/BiasAdd_weights_fused_bn is the checkpoint's conv2\.weight times/)
    expect(message).to.match(/del tf2onnx\.optimizer\._optimizers\["remove_back_to_back"\]/)
  })

  it("from Keras' checkpoints too, whose kernels lie otherwise", async () => {
    const change = kerasNames((layer, leaf) => `${layer}/${leaf}`)
    const checkpoints = await relaid(join(FORMATS, 'safetensors'), join(newFolder(), 'c'), change)
    expect(await refusal('tf-keras.onnx', checkpoints)).to.match(
      /BiasAdd_weights_fused_bn is the checkpoint's conv2\/kernel times bn's/,
    )
    expect(await refusal('model-optimized.onnx', checkpoints)).to.match(
      /the network's conv2\.weight is the checkpoint's conv2\/kernel times bn's/,
    )
  })
})
