import { basename } from 'node:path'

import { CheckpointError } from '../../errors.js'
import { decodeFloats } from '../../io/decode.js'
import { fingerprintFile } from '../../io/hash.js'
import { withFile, type RangedFile } from '../../io/ranged-file.js'
import { looksLikeZip } from '../../io/zip.js'
import type { Tensor, FloatArray } from '../../tensor.js'
import type { TensorInfo } from '../checkpoint.js'
import { CHECKPOINT_EXTENSION } from '../names.js'
import {
  HEAD_SIZE,
  infoOf,
  oneSave,
  requireFloat,
  type CheckpointFormat,
  type FloatTensorInfo,
  type FormatOptions,
  type NotACheckpoint,
  type Save,
} from './format.js'
import type { StoragePlace, TorchContainer } from './torch-container.js'
import { torchCounters } from './torch-counters.js'
import { isLegacy, isTar, openLegacy, tarRefused } from './torch-legacy.js'
import { gather, isContiguous, spanOf, type Span } from './torch-tensor.js'
import { reasonWithoutWeights } from './torch-states.js'
import { weightsOf, type StateDict } from './torch-weights.js'
import { firstEntryIsPickle, openZip } from './torch-zip.js'

/** A tensor and how to read it: its storage, the span of elements in it, and the strides within the span. */
interface PlacedTensor extends TensorInfo {
  readonly place: StoragePlace
  readonly bytesPerElement: number
  readonly span: Span
  readonly stride: readonly number[]
}

/**
 * Layers that share their weights name one storage as often as there are layers. Each name is read by itself, so that
 * the names of a hostile file would be read without end.
 */
const MAX_SHARED = { times: 128, atLeast: 2 ** 26 } as const

/** What torch.save writes: a zip archive since PyTorch 1.6, pickles and storages in a row before. */
export const pytorch: CheckpointFormat = {
  name: 'PyTorch',
  match: (head, fileName) =>
    isLegacy(head) ||
    isTar(head) ||
    (looksLikeZip(head) && (CHECKPOINT_EXTENSION.test(fileName) || firstEntryIsPickle(head))),
  open: async (path, options) => {
    return oneSave(await withFile(path, CheckpointError, (file) => openSave(file, options)))
  },
}

async function openSave(
  file: RangedFile,
  options: FormatOptions = { weights: 'raw' },
): Promise<Save | NotACheckpoint> {
  const { path } = file
  const container = await openContainer(file)
  const reason = reasonWithoutWeights(container.root)
  if (reason !== undefined) return { reason }
  const tensors = placeTensors(weightsOf(container.root, path, options.weights), container, path)
  return {
    path,
    fileName: basename(path),
    bytes: file.size,
    tensors,
    counters: await torchCounters(container, path),
    read: async (name) => readTensor(requireFloat(tensors, name, path)),
    fingerprint: () => fingerprintFile(path, CheckpointError),
  }
}

async function openContainer(file: RangedFile): Promise<TorchContainer> {
  const head = await file.read(0, Math.min(file.size, HEAD_SIZE))
  if (isTar(head)) throw tarRefused(file.path)
  return isLegacy(head) ? openLegacy(file) : openZip(file)
}

function placeTensors(
  weights: StateDict,
  container: TorchContainer,
  path: string,
): ReadonlyMap<string, PlacedTensor> {
  const placed = new Map<string, PlacedTensor>()
  const storages = new Map<string, number>()
  let total = 0
  for (const [name, tensor] of weights) {
    const { storage, scalar, shape, stride } = tensor
    const place = container.place(storage, name)
    const span = spanOf(tensor, name, path)
    storages.set(storage.key, storage.bytes)
    total += span.length * scalar.bytes
    placed.set(name, {
      ...infoOf({ name, shape, ...scalar }),
      place,
      bytesPerElement: scalar.bytes,
      span,
      stride,
    })
  }
  const held = [...storages.values()].reduce((sum, bytes) => sum + bytes, 0)
  if (total > MAX_SHARED.atLeast + MAX_SHARED.times * held)
    throw new CheckpointError(
      `${path}: its tensors share storages beyond measure: ${total} bytes out of ${held}`,
    )
  return placed
}

async function readTensor(tensor: PlacedTensor & FloatTensorInfo): Promise<Tensor<FloatArray>> {
  const { dtype, shape, stride, span, place, bytesPerElement } = tensor
  const bytes = await place.read(span.begin * bytesPerElement, span.length * bytesPerElement)
  const elements = decodeFloats(bytes, dtype)
  return { dtype, shape, data: isContiguous(shape, stride) ? elements : gather(elements, shape, stride) }
}
