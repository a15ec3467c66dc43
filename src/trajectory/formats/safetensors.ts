import { basename } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import * as z from 'zod'

import { CheckpointError } from '../../errors.js'
import { decodeFloats } from '../../io/decode.js'
import { fingerprintFile } from '../../io/hash.js'
import { withFile, type RangedFile } from '../../io/ranged-file.js'
import { looksLikeSafetensors, readSafetensorsHeader } from '../../io/safetensors.js'
import type { SafetensorsEntry } from '../../io/safetensors.js'
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
  const { tensors: own, metadata } = await readSafetensorsHeader(file, CheckpointError)
  const tensors = shared(own)
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

type Entries = ReadonlyMap<string, SafetensorsEntry>

/** Entries of files that were read last, of which no two are equal: several files are read side by side, in any order. */
const recent: Entries[] = []
const MOST_RECENT = 4

/** The checkpoints of a run hold the same tensors at the same places: of ten thousand headers, one is kept. */
function shared(entries: Entries): Entries {
  const known = recent.find((others) => areEqual(entries, others))
  if (known !== undefined) return known
  recent.unshift(entries)
  if (recent.length > MOST_RECENT) recent.pop()
  return entries
}

function areEqual(some: Entries, others: Entries): boolean {
  if (some.size !== others.size) return false
  const names = others.keys()
  for (const [name, entry] of some) {
    const other = others.get(name)
    if (other === undefined || names.next().value !== name || !isDeepStrictEqual(entry, other)) return false
  }
  return true
}

function metadataCounters(metadata: unknown): Counters {
  const parsed = metadataSchema.safeParse(metadata)
  return countersOf((name) => (parsed.success ? parsed.data[name] : undefined))
}
