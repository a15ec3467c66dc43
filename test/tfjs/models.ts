import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { LayersModel, Tensor, Variable, io } from '@tensorflow/tfjs'
import type { Tf } from '../../src/engines/tfjs/load.js'
import type { NetworkFile } from '../../src/engines/tfjs/model.js'
import { writeNpyFolder } from '../support/npy.js'
import { Random } from '../support/random.js'

/** What a model hands to its save handler. */
async function artifactsOf(tf: Tf, model: LayersModel): Promise<io.ModelArtifacts> {
  const kept: io.ModelArtifacts[] = []
  await model.save(
    tf.io.withSaveHandler((artifacts) => {
      kept.push(artifacts)
      return Promise.resolve({ modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' } })
    }),
  )
  return kept[0]!
}

/** A model as it is read from a model.json. */
export async function networkFile(tf: Tf, model: LayersModel): Promise<NetworkFile> {
  const { modelTopology, weightSpecs } = await artifactsOf(tf, model)
  const topology = JSON.parse(JSON.stringify(modelTopology)) as object
  return { path: 'model.json', topology, weights: weightSpecs!.map(({ name, shape }) => ({ name, shape })) }
}

/** Writes model.json and its weights, as model.save('file://FOLDER') does. */
export async function saveModel(tf: Tf, model: LayersModel, folder: string): Promise<void> {
  const { weightData, weightSpecs, ...rest } = await artifactsOf(tf, model)
  mkdirSync(folder, { recursive: true })
  const weightsManifest = [{ paths: ['weights.bin'], weights: weightSpecs }]
  writeFileSync(join(folder, 'model.json'), JSON.stringify({ ...rest, weightsManifest }))
  writeFileSync(join(folder, 'weights.bin'), new Uint8Array(weightData as ArrayBuffer))
}

/** Writes the weights of a model under their own names as safetensors. */
export function saveSafetensors(model: LayersModel, path: string): void {
  let at = 0
  const entries = model.weights.map((weight) => {
    const data = weight.read().dataSync<'float32'>()
    const begin = at
    at += data.byteLength
    return { name: weight.originalName, shape: weight.shape, data, offsets: [begin, at] }
  })
  const header = Buffer.from(
    JSON.stringify(
      Object.fromEntries(
        entries.map(({ name, shape, offsets }) => [name, { dtype: 'F32', shape, data_offsets: offsets }]),
      ),
    ),
  )
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(header.length))
  writeFileSync(
    path,
    Buffer.concat([
      length,
      header,
      ...entries.map(({ data }) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength)),
    ]),
  )
}

export interface Recording {
  /** Folders step-0, step-1, ... of TensorFlow.js. */
  readonly tfjs: string
  /** The same steps as safetensors. */
  readonly safetensors: string
  /** A folder of x.npy and y.npy. */
  readonly data: string
}

export interface Samples {
  readonly count: number
  readonly shape: readonly number[]
  readonly classes: number
  readonly seed: string
}

/** Samples whose class shows in their mean. */
export function drawSamples({ count, shape, classes, seed }: Samples): { x: Float32Array; y: number[] } {
  const random = new Random(seed)
  const size = shape.reduce((a, b) => a * b, 1)
  const y = Array.from({ length: count }, () => Math.floor(random.next() * classes))
  const x = Float32Array.from(y.flatMap((label) => random.uniform(size, -1 + label / 2, 1 + label / 2)))
  return { x, y }
}

/** Trains a classifier that ends in probabilities, by plain gradient descent, and saves every step. */
export async function record(
  tf: Tf,
  model: LayersModel,
  samples: Samples,
  { folder, steps, rate }: { readonly folder: string; readonly steps: number; readonly rate: number },
): Promise<Recording> {
  const { x, y } = drawSamples(samples)
  const [inputs, labels] = [tf.tensor(x, [y.length, ...samples.shape]), tf.tensor1d(y, 'int32')]
  const [tfjs, safetensors] = [join(folder, 'tfjs'), join(folder, 'safetensors')]
  mkdirSync(safetensors, { recursive: true })
  const save = async (step: number): Promise<void> => {
    await saveModel(tf, model, join(tfjs, `step-${step}`))
    saveSafetensors(model, join(safetensors, `step-${step}.safetensors`))
  }
  const optimizer = tf.train.sgd(rate)
  const variables = model.trainableWeights.map((weight): Variable => {
    const value: unknown = weight.read()
    return value as Variable
  })
  await save(0)
  for (let step = 1; step <= steps; step += 1) {
    optimizer.minimize(
      () => {
        const probabilities = model.apply(inputs, { training: true }) as Tensor
        return tf.oneHot(labels, samples.classes).mul(probabilities.log()).sum().div(-y.length)
      },
      false,
      variables,
    )
    await save(step)
  }
  tf.dispose([inputs, labels])
  const data = writeNpyFolder(join(folder, 'data'), {
    x: { type: '<f4', shape: [y.length, ...samples.shape], values: x },
    y: { type: '<i8', shape: [y.length], values: BigInt64Array.from(y, BigInt) },
  })
  return { tfjs, safetensors, data }
}
