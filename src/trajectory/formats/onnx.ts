import { stat } from 'node:fs/promises'
import { basename } from 'node:path'

import { CheckpointError } from '../../errors.js'
import { decodeFloats } from '../../io/decode.js'
import { fingerprintFiles } from '../../io/hash.js'
import { readStoredWeights, type StoredWeight } from '../../onnx/stored-weights.js'
import { isInvented } from '../invented.js'
import type { TensorInfo } from '../checkpoint.js'
import { requireFloat, type CheckpointFormat, type Save } from './format.js'

interface StoredTensor extends TensorInfo {
  readonly read: StoredWeight['read']
}

/** A protobuf message that starts with `ir_version`, the first field of a model. */
const IR_VERSION_KEY = 0x08

/**
 * A network that was exported as ONNX at every step: its initializers are the weights, inside the file or beside it as
 * external data (https://github.com/onnx/onnx/blob/main/docs/IR.md, Graphs and External Tensor Data).
 */
export const onnx: CheckpointFormat = {
  name: 'ONNX',
  alsoHolds: 'the network as ONNX, not a checkpoint',
  match: (head, fileName) => /\.onnx$/i.test(fileName) && head[0] === IR_VERSION_KEY,
  open: async (path) => {
    const weights = await readStoredWeights(path, CheckpointError)
    const tensors = new Map(weights.filter(isWeight).map((weight) => [weight.name, describe(weight)]))
    if (tensors.size === 0) return { reason: 'an ONNX graph without weights' }
    const external = [...new Set(weights.flatMap((weight) => weight.external ?? []))].sort()
    const save = await openSave(path, tensors, external)
    return { saves: [save] }
  },
}

/** Single numbers under an exporter's own names are constants of the computation (an epsilon, a scale). */
function isWeight({ name, shape, dtype }: StoredWeight): boolean {
  const isNumber = shape.length === 0
  return dtype !== undefined && !(isNumber && isInvented(name))
}

function describe({ name, shape, dtype, read }: StoredWeight): StoredTensor {
  return { name, shape, dtype: dtype!, read }
}

async function openSave(
  path: string,
  tensors: ReadonlyMap<string, StoredTensor>,
  external: readonly string[],
): Promise<Save> {
  const sizes = await Promise.all([path, ...external].map(async (file) => (await stat(file)).size))
  return {
    path,
    fileName: basename(path),
    network: path,
    bytes: sizes.reduce((sum, size) => sum + size, 0),
    tensors,
    counters: new Map(),
    read: async (name) => {
      const { dtype, shape, read } = requireFloat(tensors, name, path)
      return { dtype, shape, data: decodeFloats(await read(), dtype) }
    },
    fingerprint: () => fingerprintFiles([path, ...external], CheckpointError),
  }
}
