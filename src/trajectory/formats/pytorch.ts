import { basename } from 'node:path'

import { CheckpointError, CheckpointFormatError } from '../../errors.js'
import { decodeFloats } from '../../io/decode.js'
import { fingerprintFile } from '../../io/hash.js'
import { withFile, type RangedFile } from '../../io/ranged-file.js'
import { listZip, readZipEntry, zipDataRange, type ZipEntry } from '../../io/zip.js'
import type { Tensor, FloatArray } from '../../tensor.js'
import type { TensorInfo } from '../checkpoint.js'
import { CHECKPOINT_EXTENSION } from '../names.js'
import { countersOf, requireFloat, type CheckpointFormat, type FloatTensorInfo, type Save } from './format.js'
import { readPickle } from './pickle.js'
import type { TorchTensor } from './pickle-values.js'
import { gather, isContiguous, spanOf, type Span } from './torch-tensor.js'
import { weightsOf } from './torch-weights.js'

/** A pickle without its tensors: some 150 bytes per tensor, so this is enough for hundreds of thousands. */
const MAX_PICKLE_BYTES = 128 * 2 ** 20

const ZIP_SIGNATURE = [0x50, 0x4b, 0x03, 0x04]

/** The pickled number that opened PyTorch's files before version 1.6 (torch/serialization.py, MAGIC_NUMBER). */
const LEGACY_SIGNATURE = [
  0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e,
]

/** A tensor and how to read it: the archive's entry, the span of elements, and the strides within it. */
interface PlacedTensor extends TensorInfo {
  readonly entry: ZipEntry
  readonly bytesPerElement: number
  readonly span: Span
  readonly stride: readonly number[]
}

/** What torch.save writes since PyTorch 1.6: a zip archive of `data.pkl` and one stored entry per storage. */
export const pytorch: CheckpointFormat = {
  name: 'PyTorch',
  match: (head, fileName) =>
    startsWith(head, LEGACY_SIGNATURE) ||
    (startsWith(head, ZIP_SIGNATURE) && (CHECKPOINT_EXTENSION.test(fileName) || firstEntryIsPickle(head))),
  open: async (path) => {
    const save = await withFile(path, CheckpointError, openSave)
    return { saves: [save], close: () => Promise.resolve() }
  },
}

async function openSave(file: RangedFile): Promise<Save> {
  const { path } = file
  if (startsWith(await file.read(0, Math.min(file.size, 16)), LEGACY_SIGNATURE)) throw legacy(path)
  const entries = await listZip(file, CheckpointError)
  const prefix = await findArchive(entries, path)
  const bytes = await readZipEntry(path, entries.get(`${prefix}data.pkl`)!, MAX_PICKLE_BYTES, CheckpointError)
  const root = readPickle(bytes, path, remedyFor(path))
  const tensors = placeTensors(weightsOf(root, path), entries, prefix, path)
  return {
    path,
    fileName: basename(path),
    bytes: file.size,
    tensors,
    counters: countersOf((name) => (root instanceof Map ? root.get(name) : undefined)),
    read: async (name) => readTensor(requireFloat(tensors, name, path), path),
    fingerprint: () => fingerprintFile(path, CheckpointError),
  }
}

/** The archive's one folder, as a prefix of its entries; its name is whatever the file was once called. */
async function findArchive(entries: ReadonlyMap<string, ZipEntry>, path: string): Promise<string> {
  const pickles = [...entries.keys()].filter((name) => /^[^/]+\/data\.pkl$/.test(name))
  if (pickles.length !== 1) {
    throw new CheckpointFormatError(
      `${path}: a zip archive, but not one that torch.save writes (no data.pkl)`,
    )
  }
  const prefix = pickles[0]!.slice(0, -'data.pkl'.length)
  const byteOrder = entries.get(`${prefix}byteorder`)
  if (byteOrder !== undefined) {
    const order = new TextDecoder().decode(await readZipEntry(path, byteOrder, 64, CheckpointError))
    if (order !== 'little') {
      throw new CheckpointFormatError(
        `${path}: its numbers are ${order}-endian; only little is read: save it again on the machine of the analysis`,
      )
    }
  }
  return prefix
}

function placeTensors(
  weights: ReadonlyMap<string, TorchTensor>,
  entries: ReadonlyMap<string, ZipEntry>,
  prefix: string,
  path: string,
): ReadonlyMap<string, PlacedTensor> {
  const placed = new Map<string, PlacedTensor>()
  for (const [name, tensor] of weights) {
    const { storage, scalar, shape, stride } = tensor
    const entry = entries.get(`${prefix}data/${storage.key}`)
    if (entry === undefined)
      throw new CheckpointError(`${path}: tensor ${name}: its data/${storage.key} is missing`)
    if (entry.size < storage.bytes) {
      throw new CheckpointError(
        `${path}: truncated: tensor ${name} needs ${storage.bytes} bytes, but ${entry.name} has ${entry.size}`,
      )
    }
    const span = spanOf(tensor, name, path)
    const { dtype, unsupported } = scalar
    const info = { name, shape, dtype, ...(unsupported === undefined ? {} : { unsupported }) }
    placed.set(name, { ...info, entry, bytesPerElement: scalar.bytes, span, stride })
  }
  return placed
}

async function readTensor(tensor: PlacedTensor & FloatTensorInfo, path: string): Promise<Tensor<FloatArray>> {
  const { dtype, shape, stride, span, entry, bytesPerElement } = tensor
  const bytes = await readSpan(path, entry, span.begin * bytesPerElement, span.length * bytesPerElement)
  const elements = decodeFloats(bytes, dtype)
  return { dtype, shape, data: isContiguous(shape, stride) ? elements : gather(elements, shape, stride) }
}

async function readSpan(
  path: string,
  entry: ZipEntry,
  begin: number,
  length: number,
): Promise<Uint8Array<ArrayBuffer>> {
  if (entry.method === 'deflated') {
    const bytes = await readZipEntry(path, entry, entry.size, CheckpointError)
    return bytes.subarray(begin, begin + length)
  }
  return withFile(path, CheckpointError, async (file) => {
    const range = await zipDataRange(file, entry, CheckpointError)
    return file.read(range.offset + begin, length)
  })
}

function legacy(path: string): CheckpointFormatError {
  return new CheckpointFormatError(
    `${path}: written in PyTorch's format from before version 1.6; save it again in Python: ` +
      `torch.save(torch.load("${basename(path)}"), "${basename(path)}")`,
  )
}

function remedyFor(path: string): string {
  return `save the weights alone, in Python: torch.save(model.state_dict(), "${basename(path)}")`
}

function startsWith(bytes: Uint8Array, signature: readonly number[]): boolean {
  return signature.every((byte, i) => bytes[i] === byte)
}

/** In a zip archive's first local header the entry's name is at byte 30. */
function firstEntryIsPickle(head: Uint8Array): boolean {
  const length = head[26]! + 256 * head[27]!
  return /^[^/]+\/data\.pkl$/.test(new TextDecoder().decode(head.subarray(30, 30 + length)))
}
