import { basename } from 'node:path'
import * as z from 'zod'

import { CheckpointError } from '../../errors.js'
import { decodeFloats } from '../../io/decode.js'
import { fingerprintFile } from '../../io/hash.js'
import { withFile, type RangedFile } from '../../io/ranged-file.js'
import { looksLikeSafetensors, readSafetensorsHeader } from '../../io/safetensors.js'
import { countersOf, requireFloat, type CheckpointFormat, type Counters, type Save } from './format.js'

const metadataSchema = z.record(z.string(), z.string())

/** safetensors, one file for each checkpoint; counters are looked for in its metadata. */
export const safetensors: CheckpointFormat = {
  name: 'safetensors',
  match: (head) => looksLikeSafetensors(head),
  open: async (path) => {
    const save = await withFile(path, CheckpointError, openSave)
    return { saves: [save] }
  },
}

async function openSave(file: RangedFile): Promise<Save> {
  const { path } = file
  const { tensors, metadata } = await readSafetensorsHeader(file, CheckpointError)
  return {
    path,
    fileName: basename(path),
    bytes: file.size,
    tensors,
    counters: metadataCounters(metadata),
    read: async (name) => {
      const tensor = requireFloat(tensors, name, path)
      const { begin, end, dtype, shape } = tensor
      const bytes = await withFile(path, CheckpointError, (opened) => opened.read(begin, end - begin))
      return { dtype, shape, data: decodeFloats(bytes, dtype) }
    },
    fingerprint: () => fingerprintFile(path, CheckpointError),
  }
}

function metadataCounters(metadata: unknown): Counters {
  const parsed = metadataSchema.safeParse(metadata)
  return countersOf((name) => (parsed.success ? parsed.data[name] : undefined))
}
