import { basename } from 'node:path'

import { CheckpointError, CheckpointFormatError } from '../errors.js'
import { withFile } from '../io/ranged-file.js'
import { HEAD_SIZE, type CheckpointFormat } from './formats/format.js'
import { FORMATS, FORMATS_READ } from './formats/index.js'
import { CHECKPOINT_EXTENSION } from './names.js'

/**
 * The file's format by its first bytes; undefined where it is of none.
 * @throws CheckpointError for an empty file that is named like a checkpoint
 * @throws CheckpointFormatError for a name that only checkpoints have, with other bytes
 */
export async function recognise(path: string): Promise<CheckpointFormat | undefined> {
  const name = basename(path)
  const { head, size } = await withFile(path, CheckpointError, async (file) => ({
    head: await file.read(0, Math.min(HEAD_SIZE, file.size)),
    size: file.size,
  }))
  const format = FORMATS.find((candidate) => candidate.match(head, name))
  if (format !== undefined || !CHECKPOINT_EXTENSION.test(name)) return format
  if (size === 0)
    throw new CheckpointError(`${path}: empty (0 bytes): the save was cut off; move it out of the folder`)
  throw new CheckpointFormatError(
    `${path}: its first bytes are of no format that is read (${FORMATS_READ}): corrupt, or written by something else`,
  )
}
