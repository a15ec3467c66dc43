import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { parseLoss } from '../../src/autodiff/losses.js'
import type { RunOptions } from '../../src/replay/options.js'
import { runReplay } from '../../src/replay/run.js'
import { openResults } from '../../src/tables/read.js'
import type { NameMap } from '../../src/trajectory/map-file.js'
import { newFolder, removeFolders } from '../cli/command.js'
import { kerasNames, relaid, transpose, type Relaid } from '../support/relaid-checkpoints.js'

const FORMATS = 'fixtures/formats'
const file = (name: string): string => join(FORMATS, name)

/** LCA by PyTorch in float64, one Simpson panel an interval. */
interface Expected {
  readonly tensors: Readonly<Record<string, readonly number[]>>
  readonly intervals: readonly { readonly lca: Readonly<Record<string, number>> }[]
}
const expected = (name: string): Expected => JSON.parse(readFileSync(file(name), 'utf8')) as Expected

/** What a run allocates to each tensor: its sum and its elements in every interval, by the name in the checkpoints. */
interface Allocated {
  readonly name: string
  readonly lca: number
  readonly elements: readonly number[]
  readonly shape: readonly number[]
}

async function replayed(changes: Partial<RunOptions> & { data?: string; map?: string }) {
  const { data = 'train.npz', ...options } = changes
  const out = join(newFolder(), 'out')
  const all: RunOptions = {
    checkpoints: file('safetensors'),
    model: file('model.onnx'),
    splits: new Map([['train', file(data)]]),
    loss: parseLoss('cross-entropy'),
    scale: 'auto',
    tolerance: 1,
    maxSplits: 2,
    granularity: 'parameter',
    batchNorm: 'running',
    out,
    overwrite: false,
    ...options,
  }
  await runReplay(all, {})
  const results = await openResults(out)
  const tensors = (await results.readTable('tensors')).columns
  const parameters = (await results.readTable('parameters')).columns
  const facts = new Map(results.manifest.tensors.map((one) => [one.tensor, one]))
  const rows = Array.from(tensors.tensor, (name, row): Allocated => {
    const { checkpoint_name } = facts.get(name)!
    const [shape, elements] = [Array.from(parameters.shape[row]!), Array.from(parameters.lca[row]!)]
    return { name: checkpoint_name, lca: tensors.lca[row]!, elements, shape }
  })
  return { rows, facts: results.manifest.tensors, binding: results.manifest.model.binding, results }
}

/** Holds the allocation of each tensor against PyTorch's, 1e-6 of the loss. */
function matchesPyTorch(
  rows: readonly Allocated[],
  { intervals }: Expected,
  rename = (name: string) => name,
) {
  const tensors = Object.keys(intervals[0]!.lca)
  intervals.forEach(({ lca }, interval) => {
    for (const name of tensors) {
      const row = rows.filter((one) => one.name === rename(name))[interval]!
      expect(row.lca, `${name}, interval ${interval}`).to.be.closeTo(lca[name]!, 1e-6)
    }
  })
}

/** Holds every element against that of a run under PyTorch's names and in its layout. */
function matchesElements(
  rows: readonly Allocated[],
  base: readonly Allocated[],
  change: (name: string, rank: number) => Relaid,
) {
  for (const name of new Set(base.map((one) => one.name))) {
    const plain = base.filter((one) => one.name === name)
    const { name: renamed, permutation } = change(name, plain[0]!.shape.length)
    const other = rows.filter((one) => one.name === renamed)
    expect(other).to.have.length(plain.length)
    other.forEach(({ elements, shape }, interval) => {
      expect(shape).to.deep.equal(permutation.map((axis) => plain[0]!.shape[axis]!))
      const wanted = transpose(plain[interval]!.elements, plain[0]!.shape, permutation)
      wanted.forEach((value, i) => {
        expect(elements[i], `${renamed}[${i}], interval ${interval}`).to.be.closeTo(value, 1e-6)
      })
    })
  }
}

const same = (name: string, rank: number): Relaid => ({
  name,
  permutation: Array.from({ length: rank }, (_, axis) => axis),
})

describe('one recorded run, bound in every way', () => {
  after(removeFolders)
  const truth = expected('expected.json')
  let base: Allocated[]
  before(async () => {
    base = (await replayed({})).rows
  })

  it("by name: PyTorch's LCA", () => {
    matchesPyTorch(base, truth)
  })

  const KERAS: readonly [title: string, separated: (layer: string, leaf: string) => string][] = [
    ['Keras', (layer, leaf) => `${layer}/${leaf}`],
    ['Keras 2 with repeated layers and :0', (layer, leaf) => `${layer}/${layer}/${leaf}:0`],
    ['a Keras HDF5 file', (layer, leaf) => `model_weights/${layer}/network/${layer}/${leaf}`],
    ["TensorFlow's checkpoints", (layer, leaf) => `net/${layer}/${leaf}/.ATTRIBUTES/VARIABLE_VALUE`],
    [
      'Flax',
      (layer, leaf) =>
        leaf.startsWith('moving')
          ? `batch_stats/${layer}/${leaf === 'moving_mean' ? 'mean' : 'var'}`
          : `params/${layer}/${leaf === 'gamma' ? 'scale' : leaf === 'beta' ? 'bias' : leaf}`,
    ],
  ]
  for (const [title, separated] of KERAS)
    it(`by the names of ${title}, kernels transposed: the same LCA, in the checkpoints' layout`, async () => {
      const change = kerasNames(separated)
      const checkpoints = await relaid(file('safetensors'), join(newFolder(), 'c'), change)
      const { rows, facts, binding } = await replayed({ checkpoints })
      expect(binding).to.match(/^12 by translated name.*, 4 transposed$/)
      matchesPyTorch(rows, truth, (name) => change(name, truth.tensors[name]!.length).name)
      matchesElements(rows, base, change)
      const fc1 = facts.find((one) => one.parameter_name === 'fc1.weight')!
      expect(fc1.tensor).to.equal(change('fc1.weight', 2).name)
      expect(fc1).to.include({ role: 'weight', unit_axis: 1 })
    })

  it('by value, under the names of tf2onnx', async () => {
    const { rows, facts, binding } = await replayed({
      model: file('tf-keras-unfused.onnx'),
      data: 'train-nhwc.npz',
    })
    expect(binding).to.equal('12 by value from step 30, 2 transposed')
    matchesPyTorch(rows, truth)
    matchesElements(rows, base, same)
    expect(facts.map(({ tensor }) => tensor)).to.have.members(Object.keys(truth.tensors))
    expect(facts.find(({ tensor }) => tensor === 'conv1.bias')).to.include({
      parameter_name: 'network/conv1/BiasAdd/ReadVariableOp:0',
      layer: 'conv1',
      bound_by: 'value',
    })
  })

  it('by value, the checkpoints of Keras and a network of tf2onnx', async () => {
    const change = kerasNames((layer, leaf) => `layers/${layer}/vars/${leaf}`)
    const checkpoints = await relaid(file('safetensors'), join(newFolder(), 'c'), change)
    const { rows, binding } = await replayed({
      checkpoints,
      model: file('tf-keras-unfused.onnx'),
      data: 'train-nhwc.npz',
    })
    expect(binding).to.equal('12 by value from step 30, 2 transposed')
    matchesElements(rows, base, change)
  })

  it('by a map, which is taken at its word: a square kernel laid the other way gives other numbers', async () => {
    const change = kerasNames((layer, leaf) => `${layer}/${leaf}`)
    const checkpoints = await relaid(file('safetensors'), join(newFolder(), 'c'), change)
    const mapped = async (map: NameMap) => {
      const path = join(newFolder(), 'map.json')
      writeFileSync(path, JSON.stringify(map))
      return replayed({ checkpoints, map: path })
    }
    const right = await mapped({ 'fc1.weight': { tensor: 'fc1/kernel', transpose: [1, 0] } })
    expect(right.binding).to.equal('1 by --map, 11 by translated name, 4 transposed')
    matchesElements(right.rows, base, change)
    const wrong = await mapped({ 'fc1.weight': { tensor: 'fc1/kernel', transpose: [0, 1] } })
    expect(() => {
      matchesElements(wrong.rows, base, change)
    }).to.throw()
  })
})

describe('a network that an exporter optimised', () => {
  after(removeFolders)
  const truth = expected('mlp-expected.json')
  const mlp = (changes: Partial<RunOptions>) =>
    replayed({ checkpoints: file('mlp'), data: 'mlp.npz', ...changes })

  for (const [model, name] of [
    ['mlp-optimized.onnx', 'val_2'],
    ['mlp-script.onnx', 'onnx::MatMul_27'],
  ] as const)
    it(`${model}: what kept its name by name, the rest by value`, async () => {
      const base = await mlp({ model: file('mlp.onnx') })
      expect(base.binding).to.equal('by name')
      matchesPyTorch(base.rows, truth)
      const { rows, binding, facts } = await mlp({ model: file(model) })
      expect(binding).to.equal('8 by name, 2 by value from step 30, 2 transposed')
      matchesPyTorch(rows, truth)
      matchesElements(rows, base.rows, same)
      const mix = facts.find(({ tensor }) => tensor === 'mix.weight')!
      expect(mix).to.include({ parameter_name: name, layer: 'mix', unit_axis: 0 })
    })

  it('by value from a checkpoint that is not replayed', async () => {
    const { binding } = await mlp({ model: file('mlp-optimized.onnx'), steps: { from: 0, to: 10 } })
    expect(binding).to.equal('8 by name, 2 by value from step 30, 2 transposed')
  })

  it('by shape and the biases beside them, when it holds the numbers of no checkpoint', async () => {
    const checkpoints = newFolder()
    for (const step of ['00', '10', '20'])
      copyFileSync(file(`mlp/step-0000${step}.safetensors`), join(checkpoints, `step-${step}.safetensors`))
    const base = await mlp({ checkpoints, model: file('mlp.onnx') })
    const { rows, binding } = await mlp({ checkpoints, model: file('mlp-optimized.onnx') })
    expect(binding).to.equal('8 by name, 2 by shape, 2 transposed')
    matchesElements(rows, base.rows, same)
  })
})
