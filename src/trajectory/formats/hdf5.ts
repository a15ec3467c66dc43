import { stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

import { CheckpointError } from '../../errors.js'
import { listNames } from '../../listing.js'
import { Hdf5File, looksLikeHdf5 } from '../../io/hdf5.js'
import { oneSave, type CheckpointFormat } from './format.js'
import { isKerasFile, KERAS_FILE, openKerasFile } from './keras-hdf5.js'
import { KERAS_INDEX, openKerasShards } from './keras-shards.js'
import { isLcaRecording, LCA_ATTRIBUTES, openLcaRecording } from './lca-hdf5.js'

const ATTRIBUTES = new RegExp(`${KERAS_FILE.attributes.source}|${LCA_ATTRIBUTES.source}`)

/** The name of a shard: that of its index and five digits. */
const SHARD_NAME = /^(.+)_\d{5}\.weights\.h5$/

/**
 * HDF5 files share a signature; what they are, their content tells: weights of Keras in either of its formats, or the
 * recording of the LCA paper's code. An index of Keras (`.weights.json`) stands for the HDF5 files that it lists.
 */
export const hdf5: CheckpointFormat = {
  name: 'HDF5',
  match: (head, fileName) => looksLikeHdf5(head) || KERAS_INDEX.test(fileName),
  open: async (path) => {
    if (KERAS_INDEX.test(path)) return oneSave(await openKerasShards(path))
    const index = await indexOf(path)
    if (index !== undefined) return { reason: `a part of the checkpoint ${index}` }
    const file = await Hdf5File.open(path, CheckpointError, { ...KERAS_FILE, attributes: ATTRIBUTES })
    if (isLcaRecording(file)) return { saves: openLcaRecording(file) }
    if (isKerasFile(file)) return oneSave(await openKerasFile(file))
    return { reason: notWeights(file) }
  },
}

/** The index beside a shard. */
async function indexOf(path: string): Promise<string | undefined> {
  const stem = SHARD_NAME.exec(basename(path))?.[1]
  if (stem === undefined) return undefined
  const name = `${stem}.weights.json`
  const stats = await stat(join(dirname(path), name)).catch(() => undefined)
  return stats === undefined ? undefined : name
}

function notWeights(file: Hdf5File): string {
  const present = listNames(file.datasets.map(({ name }) => name)) || 'none'
  return `HDF5 without the dataset 'all_weights' (the LCA paper's) and without weights of Keras (datasets present: ${present})`
}
