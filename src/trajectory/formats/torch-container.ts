import { basename } from 'node:path'

import { CheckpointFormatError } from '../../errors.js'
import type { PickleValue, TorchStorage } from './pickle-values.js'

/** A pickle without its tensors: some 150 bytes per tensor, so this is enough for hundreds of thousands. */
export const MAX_PICKLE_BYTES = 128 * 2 ** 20

/** A storage's place in the file; bytes are counted from its begin. */
export interface StoragePlace {
  /** @throws CheckpointError when the file is truncated, or does not hold what its headers say */
  read(begin: number, length: number): Promise<Uint8Array<ArrayBuffer>>
}

/** What torch.save wrote: an object, and the bytes of its storages beside it. */
export interface TorchContainer {
  readonly root: PickleValue
  /**
   * @param tensor the tensor that asks, for messages
   * @throws CheckpointError when the storage is missing or shorter than the pickle says
   */
  place(storage: TorchStorage, tensor: string): StoragePlace
}

/** What a user does about a pickle that is refused; TorchScript's classes are all in the module `__torch__`. */
export function remedyFor(path: string, type = ''): string {
  const model = type.startsWith('__torch__.') ? `torch.jit.load("${basename(path)}")` : 'model'
  return `save the weights alone, in Python: torch.save(${model}.state_dict(), "${basename(path)}")`
}

/** Only little-endian numbers are read: no machine that trains writes others. */
export function otherEndian(path: string, order: string): CheckpointFormatError {
  return new CheckpointFormatError(
    `${path}: its numbers are ${order}-endian; only little is read: save it again on the machine of the analysis`,
  )
}
