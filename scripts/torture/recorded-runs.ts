import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { onnxCode } from '../../src/onnx/dtypes.js'
import { constantOf } from '../../src/onnx/from-proto.js'
import { encodeModel } from '../../src/onnx/write.js'
import { graphOf, node } from '../../test/support/graphs.js'
import { writeNpyFolder } from '../../test/support/npy.js'
import { Random } from '../../test/support/random.js'

/** A recorded run, as options of `retrograd run`. */
export interface RecordedRun {
  readonly name: string
  readonly options: readonly string[]
  /** By how many pages of 4 KiB at most a disk grows that was full. */
  readonly morePages: number
}

const LENET = 'fixtures/mnist-lenet'

/** 60 intervals of a small network of convolutions; every parameter's LCA is written, and its Fisher information. */
export const LENET_RUN: RecordedRun = {
  name: 'lenet, 60 intervals',
  morePages: 500,
  options: [
    ...[`${LENET}/checkpoints`, '--model', `${LENET}/model.onnx`, '--train', `${LENET}/val.npz`],
    ...['--val', `${LENET}/val.npz`, '--loss', 'cross-entropy', '--granularity', 'parameter'],
    ...['--fisher-samples', '250'],
  ],
}

const [INPUTS, CLASSES, SAMPLES, INTERVALS] = [6, 3, 24, 200]

/** Writes a walk of a linear classifier of 21 parameters over 200 intervals: hardly any work between two ends of blocks. */
export function writeTinyRun(folder: string): RecordedRun {
  const random = new Random('tiny run')
  const weights = Float32Array.from(random.uniform((INPUTS + 1) * CLASSES, -1, 1))
  mkdirSync(folder, { recursive: true })
  const model = join(folder, 'model.onnx')
  writeFileSync(model, encodeModel(classifier(weights)))
  for (let step = 0; step <= INTERVALS; step += 1) {
    const checkpoint = join(folder, 'checkpoints', String(step))
    writeNpyFolder(checkpoint, {
      weight: { type: '<f4', shape: [CLASSES, INPUTS], values: weights.slice(0, CLASSES * INPUTS) },
      bias: { type: '<f4', shape: [CLASSES], values: weights.slice(CLASSES * INPUTS) },
    })
    for (let i = 0; i < weights.length; i += 1) weights[i]! += 0.05 * (random.next() - 0.5)
  }
  const data = writeNpyFolder(join(folder, 'data'), {
    x: {
      type: '<f4',
      shape: [SAMPLES, INPUTS],
      values: Float32Array.from(random.uniform(SAMPLES * INPUTS, -1, 1)),
    },
    y: {
      type: '<i8',
      shape: [SAMPLES],
      values: BigInt64Array.from({ length: SAMPLES }, (_, i) => BigInt(i % CLASSES)),
    },
  })
  return {
    name: `linear, ${INTERVALS} intervals`,
    morePages: 6,
    options: [
      ...[join(folder, 'checkpoints'), '--model', model, '--train', data, '--loss', 'cross-entropy'],
      ...['--granularity', 'parameter', '--fisher-samples', '20'],
    ],
  }
}

function classifier(weights: Float32Array) {
  const constant = (shape: number[], from: number, to: number) =>
    constantOf(shape, onnxCode('float32'), new Uint8Array(weights.slice(from, to).buffer))
  return graphOf({
    inputs: [{ name: 'x', dtype: 'float32', shape: ['batch', INPUTS] }],
    outputs: ['logits'],
    initializers: {
      weight: constant([CLASSES, INPUTS], 0, CLASSES * INPUTS),
      bias: constant([CLASSES], CLASSES * INPUTS, weights.length),
    },
    nodes: [node('Gemm', ['x', 'weight', 'bias'], 'logits', { transB: 1 })],
  })
}
