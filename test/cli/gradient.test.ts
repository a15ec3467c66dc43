import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { fromBinary } from '@bufbuild/protobuf'
import { ModelProtoSchema } from '../../src/onnx/proto/onnx_pb.js'
import { readModel } from '../../src/onnx/read.js'
import { encodeModel } from '../../src/onnx/write.js'
import { describeWithShared } from '../shared.js'
import { graphOf, input, node, tensor } from '../support/graphs.js'
import { readNpz } from '../support/npz.js'
import { runOnce } from '../support/ort.js'
import type { Feed } from '../support/ort.js'
import { newFolder, removeFolders, retrograd } from './command.js'
import type { Outcome } from './command.js'

const MODEL = 'fixtures/mnist-lenet/model.onnx'

interface Facts {
  readonly out: string
  readonly loss: string
  readonly opset: number
  readonly inputs: readonly { readonly name: string }[]
  readonly target: { readonly dtype: string; readonly shape: readonly (number | string)[] } | null
  readonly parameters: readonly { readonly name: string; readonly gradient: string }[]
  readonly operators: Readonly<Record<string, number>>
  readonly notes: readonly string[]
}

async function gradient(out: string, ...options: string[]): Promise<Outcome> {
  return retrograd(['gradient', MODEL, '--loss', 'cross-entropy', '--out', out, ...options])
}

const newFile = (): string => join(newFolder(), 'grad.onnx')

describe('retrograd gradient', () => {
  after(removeFolders)

  it('writes an ONNX file and says what is in it', async () => {
    const out = newFile()
    const { status, stdout, stderr } = await gradient(out)
    expect(status, stderr).to.equal(0)
    expect(stdout).to.match(/grad\.onnx: loss \(cross-entropy\) and gradient, opset \d+/)
    expect(stdout).to.match(/parameters {2}8 inputs of 11,978 numbers: conv1\.weight, conv1\.bias/)
    const { outputs, inputs } = await readModel(out)
    expect(inputs.map(({ name }) => name)).to.include.members(['target', 'conv1.weight'])
    expect(outputs.map(({ name }) => name)).to.include.members(['loss', 'losses', 'gradient/conv1.weight'])
    expect(existsSync(`${out}.partial`)).to.equal(false)
  })

  it('writes in the file what it is', async () => {
    const out = newFile()
    await gradient(out, '--label-smoothing', '0.1', '--batchnorm', 'batch')
    const model = fromBinary(ModelProtoSchema, readFileSync(out))
    expect(model.producerName).to.equal('retrograd')
    expect(model.producerVersion).to.match(/^\d+\.\d+\.\d+/)
    expect(model.docString).to.match(/Loss \(cross-entropy\) of .*model\.onnx and its gradient/)
    const facts = Object.fromEntries(model.metadataProps.map(({ key, value }) => [key, value]))
    expect(facts).to.include({
      'retrograd.loss': 'cross-entropy',
      'retrograd.loss_options': '{"labelSmoothing":0.1}',
      'retrograd.batchnorm': 'batch',
      'retrograd.forms': 'cpu',
    })
  })

  it('--json prints the same facts for machines, and nothing else', async () => {
    const out = newFile()
    const { stdout } = await gradient(out, '--json', '--parameters', 'conv*', '--parameters', 'fc2.bias')
    const facts = JSON.parse(stdout) as Facts
    expect(facts.parameters.map(({ name }) => name)).to.deep.equal([
      'conv1.weight',
      'conv1.bias',
      'conv2.weight',
      'conv2.bias',
      'fc2.bias',
    ])
    expect(facts.parameters.map(({ name }) => `gradient/${name}`)).to.deep.equal(
      facts.parameters.map((one) => one.gradient),
    )
    expect(facts.target!.dtype).to.equal('int64')
    expect(facts.operators['Conv']).to.be.above(0)
  })

  it('says that a choice of statistics has no effect on a network without BatchNorm', async () => {
    const { stderr } = await gradient(newFile(), '--batchnorm', 'batch')
    expect(stderr).to.match(/--batchnorm batch has no effect/)
    expect((await gradient(newFile())).stderr).not.to.match(/--batchnorm/)
  })

  it('writes for WebGPU when asked', async () => {
    const out = newFile()
    const { stdout } = await gradient(out, '--json', '--forms', 'webgpu')
    const { operators } = JSON.parse(stdout) as Facts
    expect(operators).not.to.have.any.keys('LogSoftmax')
  })

  it('takes a loss that is an ONNX file', async () => {
    const folder = newFolder()
    const loss = join(folder, 'loss.onnx')
    const graph = graphOf({
      inputs: [input('scores', ['N', 10]), input('wanted', ['N', 10])],
      initializers: { axes: tensor('int64', [1], [1]) },
      nodes: [
        node('Sub', ['scores', 'wanted'], 'd'),
        node('ReduceL2', ['d', 'axes'], 'distance', { keepdims: 0 }),
      ],
      outputs: ['distance'],
    })
    writeFileSync(loss, encodeModel(graph))
    const out = join(folder, 'grad.onnx')
    const result = await retrograd(['gradient', MODEL, '--loss', loss, '--out', out, '--json'])
    expect(result.status, result.stderr).to.equal(0)
    const facts = JSON.parse(result.stdout) as Facts
    expect(facts.loss).to.equal(loss)
    expect(facts.target).to.deep.include({ dtype: 'float32' })
    expect(facts.target!.shape[1]).to.equal(10)
  })

  it('reads class weights from a list and from files', async () => {
    const folder = newFolder()
    const weights = [1, 2, 3, 4, 5, 6, 7, 8, 9, 0.5]
    writeFileSync(join(folder, 'w.json'), JSON.stringify(weights))
    writeFileSync(join(folder, 'w.txt'), `${weights.join('\n')}\n`)
    const written: Buffer[] = []
    for (const given of [weights.join(), join(folder, 'w.json'), join(folder, 'w.txt')]) {
      const out = newFile()
      const { status, stderr } = await gradient(out, '--class-weights', given)
      expect(status, stderr).to.equal(0)
      written.push(readFileSync(out))
    }
    expect(written[1]!.equals(written[0]!)).to.equal(true)
    expect(written[2]!.equals(written[0]!)).to.equal(true)
  })
})

describe('retrograd gradient refuses', () => {
  after(removeFolders)

  const cases: readonly [title: string, options: readonly string[], status: number, message: RegExp][] = [
    ['an unknown loss', ['--loss', 'hinge'], 2, /--loss hinge: not a loss; use one of cross-entropy/],
    ['an option of another loss', ['--loss', 'mse', '--ignore-index', '0'], 2, /--ignore-index belongs to/],
    ['a weight that is not there', ['--parameters', 'fc9*'], 2, /--parameters fc9\*: no weight is called so/],
    ['numbers that are none', ['--class-weights', 'heavy'], 2, /--class-weights heavy: neither a list/],
    ['too few weights of classes', ['--class-weights', '1,2'], 2, /2 numbers for 10 classes/],
    ['a class axis beyond', ['--class-axis', '5'], 2, /--class-axis 5: 'logits' is/],
    ['a loss file that is not there', ['--loss', 'nowhere.onnx'], 2, /nowhere\.onnx: no such model file/],
    ['a misspelt option', ['--labelsmoothing', '0.1'], 2, /did you mean --label-smoothing/],
    ['a choice that is none', ['--forms', 'gpu'], 2, /^retrograd: Invalid values: .*forms.*"gpu".*\n$/],
  ]
  for (const [title, options, status, message] of cases)
    it(title, async () => {
      const out = newFile()
      const loss = options[0] === '--loss' ? [] : ['--loss', 'cross-entropy']
      const result = await retrograd(['gradient', MODEL, ...loss, '--out', out, ...options])
      expect(result.status, result.stderr).to.equal(status)
      expect(result.stderr).to.match(message)
      expect(existsSync(out)).to.equal(false)
    })

  it('to guess which model is meant', async () => {
    const { status, stderr } = await retrograd(['gradient', '--loss', 'mse', '--out', newFile()])
    expect(status).to.equal(2)
    expect(stderr).to.match(/^retrograd: a file or folder to read is missing; --help says which\n$/)
  })

  it('a graph that it wrote itself', async () => {
    const [first, second] = [newFile(), newFile()]
    await gradient(first)
    const { status, stderr } = await retrograd(['gradient', first, '--loss', 'output:loss', '--out', second])
    expect(status).to.equal(3)
    expect(stderr).to.match(/named 'gradient\/.*is it a gradient graph\?/)
  })

  it('to replace a file, unless told to, and never one that it reads', async () => {
    const out = newFile()
    writeFileSync(out, 'mine')
    const kept = await gradient(out)
    expect(kept.status).to.equal(2)
    expect(kept.stderr).to.match(/the file exists; name another, or give --overwrite/)
    expect(readFileSync(out, 'utf8')).to.equal('mine')
    expect((await gradient(out, '--overwrite')).status).to.equal(0)
    const model = await gradient(MODEL, '--overwrite')
    expect(model.status).to.equal(2)
    expect(model.stderr).to.match(/that is a file to be read/)
    const folder = await gradient(newFolder(), '--overwrite')
    expect(folder.stderr).to.match(/that is no file/)
  })
})

/** Largest difference from PyTorch's float64, relative to the tensor's largest entry. */
const TOLERANCE = 1e-4
/** A gradient that is 0 (a bias before InstanceNorm) is rounding: entries count from this share of the network's largest. */
const SMALLEST_SHARE = 1e-3

describeWithShared('the written gradients are PyTorch’s', (shared) => {
  after(removeFolders)

  const networks: readonly [name: string, loss: string, labels: 'int64' | 'float32'][] = [
    ['fc', 'cross-entropy', 'int64'],
    ['lenet', 'cross-entropy', 'int64'],
    ['gpt', 'cross-entropy', 'int64'],
    ['gated', 'bce-with-logits', 'float32'],
    ['autoencoder', 'mse', 'float32'],
  ]
  for (const [name, loss, dtype] of networks)
    it(`${name}, ${loss}`, async () => {
      const out = newFile()
      const path = `${shared}/reference/gradients/${name}.plain.onnx`
      const made = await retrograd(['gradient', path, '--loss', loss, '--out', out])
      expect(made.status, made.stderr).to.equal(0)
      const arrays = await readNpz(`${shared}/reference/gradients/${name}.npz`)
      const graph = await readModel(out)

      const feeds: Record<string, Feed> = {}
      for (const { name: wanted, dtype: type, shape } of graph.inputs) {
        const array = wanted === 'target' ? 'y' : wanted === 'input' ? 'x' : `param/${wanted}`
        const values = await arrays(array)
        feeds[wanted] = { dtype: type!, shape: sizesOf(shape!, values.length), values: Array.from(values) }
      }
      expect(feeds['target']!.dtype).to.equal(dtype)

      const results = await runOnce(graph, feeds)
      expect(results['loss']!.values[0]).to.be.closeTo((await arrays('loss'))[0]!, 1e-5)
      const gradients = graph.outputs
        .map((output) => output.name)
        .filter((one) => one.startsWith('gradient/'))
      expect(gradients.length).to.be.above(3)
      const expected = await Promise.all(
        gradients.map(async (output) => arrays(output.replace('gradient/', 'grad/'))),
      )
      const smallest = SMALLEST_SHARE * Math.max(...expected.map(largest))
      gradients.forEach((output, at) => {
        const wanted = expected[at]!
        const worst = largest(wanted.map((value, i) => value - results[output]!.values[i]!))
        expect(worst / Math.max(largest(wanted), smallest), output).to.be.at.most(TOLERANCE)
      })
    })
})

function largest(values: Float64Array): number {
  return values.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
}

/** A declared shape with its open first axis found from the number of elements. */
function sizesOf(shape: readonly (number | string)[], elements: number): number[] {
  const rest = shape.slice(1).reduce<number>((product, size) => product * Number(size), 1)
  return shape.map((size) => (typeof size === 'number' ? size : elements / rest))
}
