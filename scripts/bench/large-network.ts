/**
 * Writes a recorded run of a large GPT with random weights, for measuring time and memory (node
 * dist/scripts/bench/large-network.js FOLDER [inside]): model.onnx, checkpoints/ (three safetensors files) and data/.
 */
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { create, toBinary } from '@bufbuild/protobuf'
import { constantOf } from '../../src/onnx/from-proto.js'
import type { Initializer } from '../../src/onnx/graph.js'
import {
  ModelProtoSchema,
  OperatorSetIdProtoSchema,
  StringStringEntryProtoSchema,
  TensorProto_DataLocation,
  TensorProto_DataType,
  TensorProtoSchema,
} from '../../src/onnx/proto/onnx_pb.js'
import type { TensorProto } from '../../src/onnx/proto/onnx_pb.js'
import { encodeModel, toGraphProto } from '../../src/onnx/write.js'
import { elementCount } from '../../src/tensor.js'
import { gptGraph, gptParameters, type GptSize } from './gpt-graph.js'
import { npy } from './repeated-data.js'

export interface LargeNetwork extends GptSize {
  readonly sequences: number
  readonly checkpoints: number
  /** Where the model keeps its weights: `beside` it, as PyTorch's exporter does, or `inside` of model.onnx. */
  readonly weights: 'beside' | 'inside'
}

/** 124 million parameters: GPT-2's smallest, with 64 positions. */
export const GPT_2: LargeNetwork = {
  vocabulary: 50257,
  width: 768,
  layers: 12,
  heads: 12,
  context: 64,
  sequences: 64,
  checkpoints: 3,
  weights: 'beside',
}

/** Numbers that are drawn and written at once. */
const BLOCK = 2 ** 20

/** Writes the run into a folder; one block of numbers is in memory at a time, but for weights inside of the model. */
export function writeLargeNetwork(folder: string, network: LargeNetwork): void {
  const parameters = gptParameters(network)
  mkdirSync(join(folder, 'checkpoints'), { recursive: true })
  mkdirSync(join(folder, 'data'), { recursive: true })
  for (let step = 0; step < network.checkpoints; step += 1)
    writeCheckpoint(join(folder, 'checkpoints', `step-${step}.safetensors`), parameters, step)
  writeModel(folder, network, parameters, network.checkpoints - 1)
  writeTokens(join(folder, 'data'), network)
}

function writeCheckpoint(path: string, parameters: ReadonlyMap<string, number[]>, step: number): void {
  writeParts(path, safetensorsStart(parameters), parameters, step)
}

/** What stands before the numbers of a safetensors file that holds float32 tensors in their order. */
export function safetensorsStart(parameters: ReadonlyMap<string, readonly number[]>): Buffer[] {
  let end = 0
  const entries = [...parameters].map(([name, shape]) => {
    const begin = end
    end += 4 * elementCount(shape)
    return [name, { dtype: 'F32', shape, data_offsets: [begin, end] }]
  })
  const text = JSON.stringify(Object.fromEntries(entries))
  const header = Buffer.from(text.padEnd(Math.ceil(text.length / 8) * 8))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(header.length))
  return [length, header]
}

/** Writes some bytes, then the numbers of all parameters. */
function writeParts(
  path: string,
  start: readonly Uint8Array[],
  parameters: ReadonlyMap<string, number[]>,
  step: number,
): void {
  const file = openSync(path, 'w')
  try {
    for (const bytes of start) writeSync(file, bytes)
    for (const [name, shape] of parameters)
      for (const block of numbers(name, elementCount(shape), step)) writeAll(file, block)
  } finally {
    closeSync(file)
  }
}

function writeAll(file: number, block: Float32Array): void {
  const bytes = new Uint8Array(block.buffer, block.byteOffset, block.byteLength)
  for (let done = 0; done < bytes.length;) done += writeSync(file, bytes, done)
}

/**
 * A parameter's numbers at a step, in blocks: spread evenly around 0 (around 1 for the factors of LayerNorm), with a small
 * movement that is its own in every step.
 */
export function* numbers(name: string, count: number, step: number): Generator<Float32Array> {
  const [base, movement] = [random(`${name} base`), random(`${name} movement`)]
  const isFactor = /ln_\w+\.weight$/.test(name)
  const spread = isFactor || name.endsWith('.bias') ? 0.01 : 0.035
  for (let from = 0; from < count; from += BLOCK) {
    const block = new Float32Array(Math.min(BLOCK, count - from))
    for (let i = 0; i < block.length; i += 1)
      block[i] = (isFactor ? 1 : 0) + spread * base() + 0.001 * step * movement()
    yield block
  }
}

/** Numbers from -1 to 1 that are the same in every run (mulberry32, seeded from a text by FNV-1a). */
export function random(seed: string): () => number {
  let state = 0x811c9dc5
  for (const char of seed) state = Math.imul(state ^ char.codePointAt(0)!, 0x01000193)
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let bits = Math.imul(state ^ (state >>> 15), state | 1)
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61)
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 31 - 1
  }
}

function writeModel(
  folder: string,
  network: LargeNetwork,
  parameters: ReadonlyMap<string, number[]>,
  step: number,
): void {
  const path = join(folder, 'model.onnx')
  if (network.weights === 'inside') {
    writeFileSync(path, encodeModel(gptGraph(network, initializersOf(parameters, step))))
    return
  }
  writeParts(`${path}.data`, [], parameters, step)
  const graph = toGraphProto(gptGraph(network, new Map()))
  const opset = create(OperatorSetIdProtoSchema, { version: 18n })
  const initializer = [...externalTensors(parameters, 'model.onnx.data'), ...graph.initializer]
  const model = create(ModelProtoSchema, {
    irVersion: 8n,
    opsetImport: [opset],
    graph: { ...graph, initializer },
  })
  writeFileSync(path, toBinary(ModelProtoSchema, model))
}

function initializersOf(parameters: ReadonlyMap<string, number[]>, step: number): Map<string, Initializer> {
  return new Map(
    [...parameters].map(([name, shape]) => {
      const bytes = Buffer.concat(
        [...numbers(name, elementCount(shape), step)].map((block) => new Uint8Array(block.buffer)),
      )
      return [name, constantOf(shape, TensorProto_DataType.FLOAT, bytes)]
    }),
  )
}

function externalTensors(parameters: ReadonlyMap<string, number[]>, location: string): TensorProto[] {
  let offset = 0
  return [...parameters].map(([name, shape]) => {
    const length = 4 * elementCount(shape)
    const places = { location, offset: String(offset), length: String(length) }
    offset += length
    return create(TensorProtoSchema, {
      name,
      dims: shape.map(BigInt),
      dataType: TensorProto_DataType.FLOAT,
      dataLocation: TensorProto_DataLocation.EXTERNAL,
      externalData: Object.entries(places).map(([key, value]) =>
        create(StringStringEntryProtoSchema, { key, value }),
      ),
    })
  })
}

function writeTokens(folder: string, { vocabulary, context, sequences }: LargeNetwork): void {
  const next = random('tokens')
  const draw = (): bigint => BigInt(Math.floor(((next() + 1) / 2) * vocabulary))
  for (const name of ['tokens', 'targets'])
    writeFileSync(
      join(folder, `${name}.npy`),
      npy('<i8', [sequences, context], BigInt64Array.from({ length: sequences * context }, draw)),
    )
}

const [script, folder, where] = process.argv.slice(1)
if (script === fileURLToPath(import.meta.url)) {
  if (folder === undefined) throw new Error('name the folder that is to be written')
  writeLargeNetwork(folder, where === 'inside' ? { ...GPT_2, weights: 'inside' } : GPT_2)
}
