import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { onnxCode } from '../../src/onnx/dtypes.js'
import { constantOf } from '../../src/onnx/from-proto.js'
import type { Graph } from '../../src/onnx/graph.js'
import { plainNode } from '../../src/onnx/plain-node.js'
import { encodeModel } from '../../src/onnx/write.js'
import { elementCount } from '../../src/tensor.js'
import { random, safetensorsStart } from './large-network.js'
import { npy } from './repeated-data.js'

const [INPUTS, HIDDEN, CLASSES, SAMPLES] = [16, 8, 4, 64]

const PARAMETERS: ReadonlyMap<string, readonly number[]> = new Map([
  ['fc1.weight', [HIDDEN, INPUTS]],
  ['fc1.bias', [HIDDEN]],
  ['fc2.weight', [CLASSES, HIDDEN]],
  ['fc2.bias', [CLASSES]],
])
const SIZE = [...PARAMETERS.values()].reduce((sum, shape) => sum + elementCount(shape), 0)

/**
 * Writes a recorded run of a network of 172 parameters that goes nowhere in so many intervals, a file of safetensors for
 * each checkpoint: model.onnx, checkpoints/ and data/ with 64 samples.
 */
export function writeSmallRun(folder: string, intervals: number): void {
  mkdirSync(join(folder, 'checkpoints'), { recursive: true })
  mkdirSync(join(folder, 'data'), { recursive: true })
  const next = random('small network')
  const start = Buffer.concat(safetensorsStart(PARAMETERS))
  const weights = Float32Array.from({ length: SIZE }, next)
  for (let step = 0; step <= intervals; step += 1) {
    const path = join(folder, 'checkpoints', `step-${String(step).padStart(6, '0')}.safetensors`)
    writeFileSync(path, Buffer.concat([start, new Uint8Array(weights.buffer)]))
    for (let i = 0; i < SIZE; i += 1) weights[i]! += 0.01 * next()
  }
  writeFileSync(join(folder, 'model.onnx'), encodeModel(graphOf(weights)))
  const x = Float32Array.from({ length: SAMPLES * INPUTS }, next)
  const y = BigInt64Array.from({ length: SAMPLES }, (_, i) => BigInt(i % CLASSES))
  writeFileSync(join(folder, 'data', 'x.npy'), npy('<f4', [SAMPLES, INPUTS], x))
  writeFileSync(join(folder, 'data', 'y.npy'), npy('<i8', [SAMPLES], y))
}

function graphOf(weights: Float32Array): Graph {
  let at = 0
  const initializers = [...PARAMETERS].map(([name, shape]) => {
    const values = weights.slice(at, (at += elementCount(shape)))
    return [name, constantOf([...shape], onnxCode('float32'), new Uint8Array(values.buffer))] as const
  })
  return {
    name: 'small',
    irVersion: 8,
    opsets: new Map([['', 18]]),
    inputs: [{ name: 'x', dtype: 'float32', shape: ['batch', INPUTS] }],
    outputs: [{ name: 'logits', dtype: 'float32', shape: ['batch', CLASSES] }],
    initializers: new Map(initializers),
    nodes: [
      plainNode('Gemm', ['x', 'fc1.weight', 'fc1.bias'], 'h', { transB: 1 }),
      plainNode('Tanh', ['h'], 'a'),
      plainNode('Gemm', ['a', 'fc2.weight', 'fc2.bias'], 'logits', { transB: 1 }),
    ],
    functions: [],
  }
}
