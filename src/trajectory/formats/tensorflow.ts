import { basename, join } from 'node:path'

import { CheckpointError } from '../../errors.js'
import { decodeFloats } from '../../io/decode.js'
import { fingerprintFile } from '../../io/hash.js'
import { isFloat } from '../../tensor.js'
import type { TensorInfo } from '../checkpoint.js'
import { numbersInName } from '../names.js'
import { countersOf, infoOf, requireFloat, requireTensor } from './format.js'
import type {
  CheckpointFormat,
  Counters,
  FloatTensorInfo,
  FolderFormat,
  FormatOptions,
  Save,
  WeightKind,
} from './format.js'
import { MAX_GRAPH_BYTES, OBJECT_GRAPH, readObjectGraph } from './object-graph.js'
import { openBundle, readTensorBytes, type Bundle, type BundleTensor } from './tensor-bundle.js'
import { namedWeights } from './tensorflow-names.js'
import { trackedWeights } from './tensorflow-objects.js'

const INDEX = /\.index$/

/** Names of checkpoints end in a number; other indices are of other programs. */
const NUMBERED_INDEX = /\d[^/]*\.index$/

/** The suffix of a variable's key in an object-based checkpoint. */
const VALUE_SUFFIX = '/.ATTRIBUTES/VARIABLE_VALUE'

const VARIABLES = 'variables'

/**
 * Checkpoints of TensorFlow 1 and 2, one for each index: `tf.train.Saver` (by the variables' names), `tf.train.Checkpoint`
 * and its manager, Keras 2's `save_weights` (by objects). Optimizers' states, metrics and strings are no weights.
 */
export const tensorflow: CheckpointFormat = {
  name: 'TensorFlow',
  match: (head, fileName) =>
    NUMBERED_INDEX.test(fileName) || (INDEX.test(fileName) && startsWithEmptyKey(head)),
  open: async (path, options) => ({
    saves: [await openSave(path, path, options)],
  }),
}

/** A folder for each checkpoint that is a SavedModel: its `variables/` hold one. */
export const savedModel: FolderFormat = {
  name: 'SavedModel folders of TensorFlow',
  alsoHolds: 'a SavedModel of TensorFlow, not a checkpoint',
  matchFolder: (names) => names.has('saved_model.pb') && names.has(VARIABLES),
  open: async (path, options) => ({
    saves: [await openSave(join(path, VARIABLES, `${VARIABLES}.index`), path, options)],
  }),
}

/** The header's key is empty: nothing shared, nothing added. */
function startsWithEmptyKey(head: Uint8Array): boolean {
  return head[0] === 0 && head[1] === 0
}

/** @param path what the save is called: the index, or the folder around it */
async function openSave(
  index: string,
  path: string,
  options: FormatOptions = { weights: 'raw' },
): Promise<Save> {
  const bundle = await openBundle(index)
  const { keys, counters, nameUnit } = await contentOf(bundle, basename(path), options.weights)
  const tensors = new Map<string, BundleTensor>()
  for (const [name, key] of keys) {
    const tensor = requireTensor(bundle.tensors, key, index)
    if (!tensor.isText) tensors.set(name, tensor)
  }
  const infos = new Map<string, TensorInfo>()
  for (const [name, tensor] of tensors) infos.set(name, infoOf({ ...tensor, name }))
  return {
    path,
    fileName: basename(path),
    bytes: bundle.bytes,
    tensors: infos,
    counters,
    ...(nameUnit === undefined ? {} : { nameUnit }),
    read: async (name) => {
      const tensor: BundleTensor & FloatTensorInfo = requireFloat(tensors, name, path)
      const { dtype, shape } = tensor
      return { dtype, shape, data: decodeFloats(await readTensorBytes(bundle, tensor), dtype) }
    },
    // the index holds the checksum of every tensor
    fingerprint: () => fingerprintFile(index, CheckpointError),
  }
}

/** Which tensors are weights, under which names, and how far training was. */
interface Content {
  readonly keys: ReadonlyMap<string, string>
  readonly counters: Counters
  readonly nameUnit?: Save['nameUnit']
}

function contentOf(bundle: Bundle, fileName: string, kind: WeightKind): Promise<Content> {
  const graph = bundle.tensors.get(OBJECT_GRAPH)
  return graph === undefined ? namedContent(bundle, kind) : trackedContent(bundle, graph, fileName, kind)
}

async function namedContent(bundle: Bundle, kind: WeightKind): Promise<Content> {
  const names = [...bundle.tensors.keys()]
  const counts = await countsIn(bundle, names)
  const counters = countersOf((name) => counts.get(name))
  return { keys: namedWeights(names, kind, bundle.path), counters }
}

async function trackedContent(
  bundle: Bundle,
  graph: BundleTensor,
  fileName: string,
  kind: WeightKind,
): Promise<Content> {
  const { path } = bundle
  if (graph.entry.size > MAX_GRAPH_BYTES)
    throw new CheckpointError(`${path}: its graph of objects has ${graph.entry.size} bytes: too many`)
  const bytes = await readTensorBytes(bundle, graph)
  const nodes = readObjectGraph(bytes, graph.entry.crc32c, path)
  const isFloatKey = (key: string): boolean => isFloat(bundle.tensors.get(key)?.dtype ?? 'uint8')
  const { weights, iterations, isKerasModel } = trackedWeights(nodes, isFloatKey, kind, path)
  const own = [...bundle.tensors.keys()].filter((key) => /^[^/]+\/\.ATTRIBUTES\/VARIABLE_VALUE$/.test(key))
  const counts = await countsIn(bundle, [...own, ...iterations])
  const steps = iterations.length === 1 ? counts.get(iterations[0]!) : undefined
  const counters = countersOf(
    (name) => counts.get(`${name}${VALUE_SUFFIX}`) ?? (name === 'step' ? steps : undefined),
  )
  const saves = counts.get(`save_counter${VALUE_SUFFIX}`)
  const nameUnit = nameUnitOf(fileName, saves, isKerasModel)
  return {
    keys: withoutCounts(weights, counts),
    counters,
    ...(nameUnit === undefined ? {} : { nameUnit }),
  }
}

/** A manager numbers saves unless it is told a number; Keras's callback numbers epochs. */
function nameUnitOf(fileName: string, saves: number | undefined, isKerasModel: boolean): Save['nameUnit'] {
  if (saves !== undefined) return numbersInName(fileName).number === saves ? 'save' : undefined
  return isKerasModel ? 'epoch' : undefined
}

function withoutCounts(
  weights: ReadonlyMap<string, string>,
  counts: ReadonlyMap<string, number>,
): ReadonlyMap<string, string> {
  return new Map([...weights].filter(([, key]) => !counts.has(key)))
}

/** The values of the whole numbers without axes among some tensors. */
async function countsIn(bundle: Bundle, keys: readonly string[]): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>()
  for (const key of keys) {
    const tensor = bundle.tensors.get(key)
    if (tensor?.shape.length !== 0 || (tensor.dtype !== 'int64' && tensor.dtype !== 'int32')) continue
    const { buffer } = await readTensorBytes(bundle, tensor)
    const view = new DataView(buffer)
    counts.set(key, tensor.dtype === 'int64' ? Number(view.getBigInt64(0, true)) : view.getInt32(0, true))
  }
  return counts
}
