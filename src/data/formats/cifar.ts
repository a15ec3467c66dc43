import { basename, join } from 'node:path'
import { stat } from 'node:fs/promises'

import { DataError, UsageError } from '../../errors.js'
import { ByteReader } from '../../io/byte-reader.js'
import { streamRange } from '../../io/ranged-file.js'
import type { TypedArray } from '../../tensor.js'
import type { ArrayFile, ReadableArray } from '../stored-array.js'
import { concatArrays } from './concat.js'
import { severalFiles, singleFile, type Candidate, type DataFormat } from './format.js'

/** One image: three planes (red, green, blue) of 32 rows of 32 pixels. */
const IMAGE = [3, 32, 32] as const
const IMAGE_BYTES = 3072

/** The labels that come before the image in a record, by the arrays' names (https://www.cs.toronto.edu/~kriz/cifar.html). */
const CIFAR10 = { labels: ['y'], classes: [10] } as const
const CIFAR100 = { labels: ['coarse', 'y'], classes: [20, 100] } as const
type Kind = typeof CIFAR10 | typeof CIFAR100

const CIFAR10_NAME = /^(data_batch_\d+|test_batch)\.bin$/
const TRAINING_BATCH = /^data_batch_\d+\.bin$/
const CIFAR100_NAME = /^(train|test)\.bin$/

/** CIFAR-10 is published in five batches. */
const BATCHES = 5

/**
 * The binary version of CIFAR-10 and CIFAR-100: records without a header, known by the file's name and size. Arrays x
 * [N, 3, 32, 32] and y, of CIFAR-100 (whose y is the fine label) also coarse.
 */
export const cifar: DataFormat = {
  match: (candidate) => kindOf(candidate) !== undefined,
  open: (candidate) =>
    Promise.resolve(singleFile(candidate.path, batchArrays(candidate, kindOf(candidate)!))),
}

function kindOf({ path, size, tokens, head }: Candidate): Kind | undefined {
  const name = basename(path)
  if (CIFAR10_NAME.test(name)) return CIFAR10
  const [coarse = 0, fine = 0] = head
  const fits = size > 0 && size % (IMAGE_BYTES + 2) === 0 && coarse < 20 && fine < 100
  return CIFAR100_NAME.test(name) && !tokens && fits ? CIFAR100 : undefined
}

function batchArrays({ path, size }: Pick<Candidate, 'path' | 'size'>, kind: Kind): ReadableArray[] {
  const record = IMAGE_BYTES + kind.labels.length
  const samples = Math.floor(size / record)
  if (samples === 0 || size % record !== 0) {
    throw new DataError(
      `${path}: truncated: records of CIFAR are ${record} bytes each, but the file's ${size} bytes are not a multiple; download it again`,
    )
  }
  const part = (name: string, from: number, length: number, classes?: number): ReadableArray => ({
    name,
    where: `${path}: ${name}`,
    dtype: 'uint8',
    shape: length === IMAGE_BYTES ? [samples, ...IMAGE] : [samples],
    order: 'row-major',
    ...(length === IMAGE_BYTES && { layout: 'channels-first' as const }),
    blocks: () =>
      recordParts(path, size, { record, from, length, ...(classes !== undefined && { classes }) }),
  })
  const labels = kind.labels.map((name, at) => part(name, at, 1, kind.classes[at]))
  return [part('x', kind.labels.length, IMAGE_BYTES), ...labels.reverse()]
}

interface Part {
  readonly record: number
  readonly from: number
  readonly length: number
  /** For labels: their number, by which a file of another kind is found out. */
  readonly classes?: number
}

async function* recordParts(
  path: string,
  size: number,
  { record, from, length, classes = 256 }: Part,
): AsyncGenerator<TypedArray> {
  const reader = new ByteReader(streamRange(path, 0, size, DataError), path, DataError)
  let samples = 0
  try {
    for await (const bytes of reader.blocks(record)) {
      const count = bytes.length / record
      const values = new Uint8Array(count * length)
      for (let i = 0; i < count; i += 1)
        values.set(bytes.subarray(i * record + from, i * record + from + length), i * length)
      const bad = length === 1 ? values.findIndex((label) => label >= classes) : -1
      if (bad >= 0) {
        throw new DataError(
          `${path}: corrupt: record ${samples + bad} has label ${values[bad]!}, CIFAR's are below ${classes}`,
        )
      }
      samples += count
      yield values
    }
  } finally {
    await reader.close()
  }
}

/** Whether a folder's file is one of CIFAR, by its name. */
export function isCifarName(name: string): boolean {
  return CIFAR10_NAME.test(name) || CIFAR100_NAME.test(name)
}

/**
 * A folder of CIFAR-10: its training batches 1 to 5 as one.
 * @throws DataError when a batch is missing, UsageError where a file is to be named
 */
export async function openCifarFolder(folder: string, names: readonly string[]): Promise<ArrayFile> {
  const batches = names.filter((name) => TRAINING_BATCH.test(name)).sort()
  if (batches.length === 0) {
    const files = names.filter(isCifarName).sort()
    if (files.length === 1) return openCifarFile(join(folder, files[0]!))
    throw new UsageError(
      `${folder} holds training and test data; name one: ${files.map((name) => join(folder, name)).join(' or ')}`,
    )
  }
  for (let batch = 1; batch <= BATCHES; batch += 1) {
    if (batches.includes(`data_batch_${batch}.bin`)) continue
    throw new DataError(
      `${folder}: data_batch_${batch}.bin is missing: CIFAR-10 has training batches 1 to ${BATCHES}`,
    )
  }
  const files = batches.map((name) => ({ name, path: join(folder, name) }))
  const parts: ReadableArray[][] = []
  for (const { path } of files) {
    const { size } = await stat(path)
    parts.push(batchArrays({ path, size }, CIFAR10))
  }
  return severalFiles(folder, files, concatArrays(folder, files, parts))
}

async function openCifarFile(path: string): Promise<ArrayFile> {
  const { size } = await stat(path)
  return singleFile(path, batchArrays({ path, size }, CIFAR10_NAME.test(basename(path)) ? CIFAR10 : CIFAR100))
}
