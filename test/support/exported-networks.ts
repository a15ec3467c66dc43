import { expect } from 'chai'
import { openArrayFile } from '../../src/data/array-files.js'
import { readFloats } from '../../src/data/convert.js'
import type { ReadableArray } from '../../src/data/stored-array.js'
import type { SampleArray, SplitData } from '../../src/engines/engine.js'
import type { Graph } from '../../src/onnx/graph.js'

/**
 * Loss by network, and how many gradients are compared: all in the files that keep PyTorch's names (plain, script), and
 * in `dynamo` those that were not folded, transposed or renamed.
 */
export const NETWORKS = {
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
export const EXPORTERS = ['dynamo', 'plain', 'script'] as const

/** Distance allowed between a gradient and the one that it is held against, as a share of the tensor's largest entry. */
export const GRADIENT_LIMIT = 1e-4
/** A tensor whose gradient is nothing but rounding (a bias before a normalization) is held against the network's. */
const SMALLEST_SHARE = 1e-3

export class Arrays {
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
export async function kept({ initializers }: Graph, arrays: Arrays): Promise<string[]> {
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

/** The samples and labels of a network, for its one input. */
export async function samplesOf(arrays: Arrays, input: string): Promise<SplitData> {
  return {
    samples: arrays.shape('x')[0]!,
    inputs: new Map([[input, await arrays.samples('x')]]),
    target: await arrays.samples('y'),
  }
}

/** Holds every gradient against the one expected, tensor by tensor. */
export function expectGradients(
  gradients: ReadonlyMap<string, Float64Array>,
  expected: ReadonlyMap<string, Float64Array>,
): void {
  expect([...gradients.keys()]).to.have.members([...expected.keys()])
  const smallest = SMALLEST_SHARE * Math.max(...[...expected.values()].map(largest))
  for (const [name, want] of expected) {
    const got = gradients.get(name)!
    const worst = largest(want.map((value, i) => value - got[i]!))
    expect(worst / Math.max(largest(want), smallest), name).to.be.at.most(GRADIENT_LIMIT)
  }
}

function largest(values: Float64Array): number {
  // a NaN stays one
  return values.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
}
