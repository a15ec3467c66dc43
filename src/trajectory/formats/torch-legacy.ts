import { basename } from 'node:path'

import { CheckpointError, CheckpointFormatError } from '../../errors.js'
import { withFile, type RangedFile } from '../../io/ranged-file.js'
import { PickleEnds } from './pickle-bytes.js'
import { readPickle } from './pickle.js'
import { TorchStorage, type PickleValue } from './pickle-values.js'
import {
  MAX_PICKLE_BYTES,
  otherEndian,
  remedyFor,
  type StoragePlace,
  type TorchContainer,
} from './torch-container.js'

/** The number that opens PyTorch's files before version 1.6 (torch/serialization.py, MAGIC_NUMBER), as it is pickled. */
const MAGIC = Buffer.from([0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e])

/** From pickle protocol 4 on a frame's header of 9 bytes stands between the protocol and the number. */
const MAGIC_PLACES = [2, 11]

/** What is read at first of a file whose pickles lie at its start and tell no length. */
const FIRST_READ = 2 ** 20

/** Each storage begins with its number of elements, an int64. */
const COUNT_BYTES = 8

export function isLegacy(head: Uint8Array): boolean {
  return head[0] === 0x80 && MAGIC_PLACES.some((at) => MAGIC.equals(head.subarray(at, at + MAGIC.length)))
}

/** PyTorch before 0.1.10 wrote a tar archive of `sys_info`, `pickle`, `tensors` and `storages`. */
export function isTar(head: Uint8Array): boolean {
  const text = Buffer.from(head).toString('latin1')
  return text.startsWith('ustar', 257) && /^(?:\.\/)?(?:sys_info|pickle|tensors|storages)\0/.test(text)
}

export function tarRefused(path: string): CheckpointFormatError {
  const name = basename(path)
  return new CheckpointFormatError(
    `${path}: written in the tar format of PyTorch's first versions; save it again in Python: ` +
      `torch.save(torch.load("${name}", weights_only=False), "${name}")`,
  )
}

/** The order of the pickles in the file. */
interface Pickles {
  readonly root: PickleValue
  readonly keys: readonly string[]
  /** Where the storages begin. */
  readonly end: number
  /** The storages that the root refers to. */
  readonly storages: ReadonlyMap<string, TorchStorage>
}

/**
 * What torch.save wrote before version 1.6, and writes with `_use_new_zipfile_serialization=False`: the pickles of a magic
 * number, a protocol, facts about the machine, the object and a list of storage keys; then for each key its number of
 * elements and its bytes, in that order (torch/serialization.py, `_legacy_save`). It has no checksums.
 */
export async function openLegacy(file: RangedFile): Promise<TorchContainer> {
  const { path } = file
  const { root, keys, end, storages } = await readPickles(file)
  const offsets = new Map<string, number>()
  let at = end
  for (const key of keys) {
    const storage = storages.get(key)
    if (storage === undefined || offsets.has(key))
      throw new CheckpointError(`${path}: corrupt: storage ${key} is listed, but nothing refers to it`)
    offsets.set(key, at + COUNT_BYTES)
    at += COUNT_BYTES + storage.bytes
  }
  if (at > file.size)
    throw new CheckpointError(
      `${path}: truncated: its tensors end at byte ${at}, but the file has ${file.size} bytes`,
    )
  return { root, place: (storage, tensor) => placeOf(path, offsets, storage, tensor) }
}

async function readPickles(file: RangedFile): Promise<Pickles> {
  const most = Math.min(file.size, MAX_PICKLE_BYTES)
  for (let length = Math.min(FIRST_READ, most); ; length = Math.min(2 * length, most)) {
    try {
      return parse(await file.read(0, length), file.path)
    } catch (error) {
      if (!(error instanceof PickleEnds) || length === most) throw error
    }
  }
}

function parse(bytes: Uint8Array, path: string): Pickles {
  const storages = new Map<string, TorchStorage>()
  let at = 0
  const next = (): PickleValue => {
    const { value, end } = readPickle(bytes, path, remedyFor(path), at, (storage) => {
      storages.set(storage.key, storage)
    })
    at = end
    return value
  }
  next() // the magic number
  next() // the protocol's version
  const machine = next()
  if (machine instanceof Map && machine.get('little_endian') === false) throw otherEndian(path, 'big')
  const root = next()
  const keys = next()
  if (!Array.isArray(keys) || !keys.every((key) => typeof key === 'string'))
    throw new CheckpointError(`${path}: corrupt: no list of storages after its pickle`)
  return { root, keys, end: at, storages }
}

function placeOf(
  path: string,
  offsets: ReadonlyMap<string, number>,
  storage: TorchStorage,
  tensor: string,
): StoragePlace {
  const offset = offsets.get(storage.key)
  if (offset === undefined)
    throw new CheckpointError(`${path}: tensor ${tensor}: its storage ${storage.key} is missing`)
  const promised = storage.bytes / (storage.scalar?.bytes ?? 1)
  return {
    read: (begin, length) =>
      withFile(path, CheckpointError, async (file) => {
        const head = await file.read(offset - COUNT_BYTES, COUNT_BYTES)
        const count = new DataView(head.buffer).getBigInt64(0, true)
        if (count !== BigInt(promised))
          throw new CheckpointError(
            `${path}: corrupt: tensor ${tensor} needs a storage of ${promised} elements, but it has ${count}`,
          )
        return file.read(offset + begin, length)
      }),
  }
}
