import { expect } from 'chai'
import { differentiate } from '../../src/autodiff/differentiate.js'
import type { GradientGraph } from '../../src/autodiff/differentiate.js'
import { parseLoss } from '../../src/autodiff/losses.js'
import { openArrayFile } from '../../src/data/array-files.js'
import { readFloats } from '../../src/data/convert.js'
import type { ReadableArray } from '../../src/data/stored-array.js'
import type { SampleArray, SplitData } from '../../src/engines/engine.js'
import { createEngine, evaluate as evaluateSplit } from '../../src/engines/create.js'
import type { Graph } from '../../src/onnx/graph.js'
import { readModel } from '../../src/onnx/read.js'
import { describeWithShared } from '../shared.js'

/**
 * Loss by network, and how many gradients are compared: all in the files that keep PyTorch's names (plain, script), and
 * in `dynamo` those that were not folded, transposed or renamed.
 */
const NETWORKS = {
  fc: { loss: 'cross-entropy', all: 6, dynamo: 6 },
  lenet: { loss: 'cross-entropy', all: 8, dynamo: 8 },
  resnet: { loss: 'cross-entropy', all: 29, dynamo: 2 },
  mobile: { loss: 'cross-entropy', all: 17, dynamo: 8 },
  gpt: { loss: 'cross-entropy', all: 29, dynamo: 9 },
  lstm: { loss: 'cross-entropy', all: 19, dynamo: 2 },
  gru: { loss: 'cross-entropy', all: 6, dynamo: 2 },
  autoencoder: { loss: 'mse', all: 14, dynamo: 12 },
  gated: { loss: 'bce-with-logits', all: 7, dynamo: 6 },
} as const

/** `script` is the training form: there BatchNorm takes its statistics from the batch. */
const EXPORTERS = ['dynamo', 'plain', 'script'] as const

/** Distance allowed between a gradient and PyTorch's, as a share of the tensor's largest entry. */
const GRADIENT_LIMIT = 1e-4
/** A tensor whose gradient is nothing but rounding (a bias before a normalization) is held against the network's. */
const SMALLEST_SHARE = 1e-3

class Arrays {
  private constructor(private readonly arrays: ReadonlyMap<string, ReadableArray>) {}

  static async open(path: string): Promise<Arrays> {
    const { arrays } = await openArrayFile(path)
    return new Arrays(new Map(arrays.flatMap((array) => ('dtype' in array ? [[array.name, array]] : []))))
  }

  names(prefix: string): string[] {
    return [...this.arrays.keys()].flatMap((name) =>
      name.startsWith(prefix) ? [name.slice(prefix.length)] : [],
    )
  }

  shape(name: string): readonly number[] {
    return this.get(name).shape
  }

  async values(name: string): Promise<Float64Array> {
    return (await readFloats(this.get(name), 'float64', 1)) as Float64Array
  }

  /** As the engine takes it: real numbers in float32, whole ones in int64. */
  async samples(name: string): Promise<SampleArray> {
    const values = await this.values(name)
    const sampleShape = this.shape(name).slice(1)
    return this.get(name).dtype === 'int64'
      ? { dtype: 'int64', sampleShape, data: BigInt64Array.from(values, BigInt) }
      : { dtype: 'float32', sampleShape, data: Float32Array.from(values) }
  }

  private get(name: string): ReadableArray {
    const array = this.arrays.get(name)
    if (array === undefined) throw new Error(`no array ${name}`)
    return array
  }
}

/**
 * The parameters that the file holds under PyTorch's name, in its shape and with its values; without those that stand for
 * equal ones besides (an optimizing exporter keeps one of all the scales that are 1).
 */
async function kept({ initializers }: Graph, arrays: Arrays): Promise<string[]> {
  const names: string[] = []
  const absent = new Set<string>()
  for (const name of arrays.names('grad/')) {
    const initializer = initializers.get(name)
    const theirs = await fingerprint(arrays, name)
    const ours = initializer && `${initializer.shape.join()}: ${float32(initializer.read()).join()}`
    if (ours === theirs) names.push(name)
    else if (initializer === undefined) absent.add(theirs)
  }
  const values = await Promise.all(names.map((name) => fingerprint(arrays, name)))
  return names.filter((_, i) => !absent.has(values[i]!))
}

async function fingerprint(arrays: Arrays, name: string): Promise<string> {
  const values = Float32Array.from(await arrays.values(`param/${name}`))
  return `${arrays.shape(`param/${name}`).join()}: ${values.join()}`
}

function float32(bytes: Uint8Array): Float32Array {
  return new Float32Array(new Uint8Array(bytes).buffer)
}

async function evaluate(gradient: GradientGraph, names: readonly string[], arrays: Arrays, cut: number) {
  const [x, y] = [await arrays.samples('x'), await arrays.samples('y')]
  const split: SplitData = {
    samples: arrays.shape('x')[0]!,
    inputs: new Map([[gradient.inputs[0]!.name, x]]),
    target: y,
  }
  const parameters = new Map<string, Float64Array>()
  for (const name of names) parameters.set(name, await arrays.values(`param/${name}`))
  const gradients = new Map([...parameters].map(([name, values]) => [name, new Float64Array(values.length)]))
  const engine = await createEngine(gradient, { threads: 1 })
  try {
    const { loss } = await evaluateSplit(engine, parameters, split, { size: cut }, gradients)
    return { loss, gradients }
  } finally {
    await engine.close()
  }
}

async function compare(gradients: ReadonlyMap<string, Float64Array>, arrays: Arrays, kind: string) {
  const expected = new Map<string, Float64Array>()
  for (const name of gradients.keys()) expected.set(name, await arrays.values(`${kind}/${name}`))
  const smallest = SMALLEST_SHARE * Math.max(...[...expected.values()].map(largest))
  for (const [name, want] of expected) {
    const got = gradients.get(name)!
    const worst = largest(want.map((value, i) => value - got[i]!))
    expect(worst / Math.max(largest(want), smallest), name).to.be.at.most(GRADIENT_LIMIT)
  }
}

function largest(values: Float64Array): number {
  return values.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
}

describeWithShared('losses and gradients of exported networks are PyTorch’s in float64', (shared) => {
  for (const [network, { loss: lossName, ...counts }] of Object.entries(NETWORKS))
    for (const exporter of EXPORTERS)
      it(`${network}, exporter ${exporter}`, async () => {
        const training = exporter === 'script'
        const arrays = await Arrays.open(`${shared}/reference/gradients/${network}.npz`)
        const model = await readModel(`${shared}/reference/gradients/${network}.${exporter}.onnx`)
        const names = await kept(model, arrays)
        expect(names).to.have.length(exporter === 'dynamo' ? counts.dynamo : counts.all)
        const gradient = differentiate(model, {
          parameters: names,
          loss: parseLoss(lossName),
          batchNorm: training ? 'batch' : 'running',
        })
        // statistics of the batch are those of all samples; else two micro-batches must give the same
        const cut = training ? arrays.shape('x')[0]! : 2
        const { loss, gradients } = await evaluate(gradient, names, arrays, cut)
        const [wanted, kind] = training ? ['loss_batch', 'grad_batch'] : ['loss', 'grad']
        expect(loss).to.be.closeTo((await arrays.values(wanted))[0]!, 1e-5)
        await compare(gradients, arrays, kind)
      })
})
