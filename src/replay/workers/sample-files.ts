import { closeSync, openSync, readSync, writeSync } from 'node:fs'
import type { DataSet, Samples } from '../../data/needs.js'
import type { SampleArray, SplitData } from '../../engines/engine.js'
import { EngineError } from '../../errors.js'
import { diskError } from '../../tables/disk-error.js'
import { elementCount } from '../../tensor.js'
import type { TypedArray } from '../../tensor.js'
import { ARRAY_NAMES } from './messages.js'
import type { ArrayName, SampleFile, SplitFiles } from './messages.js'

/** A system call moves less than 2 GiB. */
const MOST_BYTES = 1 << 30

type ArrayClass = new (buffer: ArrayBuffer) => TypedArray
const CLASSES: Readonly<Record<ArrayName, ArrayClass>> = {
  Float64Array,
  Float32Array,
  BigInt64Array,
  BigUint64Array,
  Int32Array,
  Int16Array,
  Int8Array,
  Uint32Array,
  Uint16Array,
  Uint8Array,
}

/**
 * Writes a split's data, decoded once, to files that all workers read; arrays that lie in their own file as they are
 * needed stay there. Throws ResultsError when the disk refuses.
 */
export function writeSplit(
  prefix: string,
  { samples, inputs, target }: DataSet,
  groups?: number,
): SplitFiles {
  const files = [...inputs].map(([name, array], i): [string, SampleFile] => [
    name,
    writeSamples(`${prefix}-input-${i}`, array),
  ])
  return {
    samples,
    inputs: Object.fromEntries(files),
    ...(target && { target: writeSamples(`${prefix}-target`, target) }),
    ...(groups !== undefined && { groups }),
  }
}

function writeSamples(path: string, { dtype, sampleShape, data, place }: Samples): SampleFile {
  const array = ARRAY_NAMES.find((name) => data instanceof CLASSES[name])!
  if (place !== undefined) return { dtype, sampleShape, ...place, array }
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  try {
    const file = openSync(path, 'w')
    try {
      for (let done = 0; done < bytes.length;)
        done += writeSync(file, bytes, done, Math.min(MOST_BYTES, bytes.length - done))
    } finally {
      closeSync(file)
    }
  } catch (error) {
    throw diskError(path, error)
  }
  return { dtype, sampleShape, path, offset: 0, array }
}

/** A split whose arrays are read into memory while they fit into `keepBytes`, and from their files otherwise. */
export function openSplit({ samples, inputs, target }: SplitFiles, keepBytes: number): SplitData {
  const files = [...Object.values(inputs), ...(target ? [target] : [])]
  const total = files.reduce((sum, file) => sum + samples * sampleBytes(file), 0)
  const open = (file: SampleFile): SampleArray => openSamples(file, samples, total <= keepBytes)
  return {
    samples,
    inputs: new Map(Object.entries(inputs).map(([name, file]) => [name, open(file)])),
    ...(target && { target: open(target) }),
  }
}

/** Bytes of all arrays of a split. */
export function bytesOf({ samples, inputs, target }: DataSet): number {
  const arrays = [...inputs.values(), ...(target ? [target] : [])]
  return samples === 0 ? 0 : arrays.reduce((sum, { data }) => sum + data.byteLength, 0)
}

function sampleBytes({ sampleShape, array }: SampleFile): number {
  return elementCount(sampleShape) * bytesPerElement(array)
}

function bytesPerElement(array: ArrayName): number {
  return new CLASSES[array](new ArrayBuffer(0)).BYTES_PER_ELEMENT
}

function openSamples(file: SampleFile, samples: number, keep: boolean): SampleArray {
  const { dtype, sampleShape } = file
  const descriptor = openSync(file.path, 'r')
  if (!keep) return { dtype, sampleShape, read: (start, count) => read(descriptor, file, start, count) }
  const data = read(descriptor, file, 0, samples)
  closeSync(descriptor)
  return { dtype, sampleShape, data }
}

function read(descriptor: number, file: SampleFile, start: number, count: number): TypedArray {
  const width = sampleBytes(file)
  const buffer = new ArrayBuffer(count * width)
  const bytes = new Uint8Array(buffer)
  for (let done = 0; done < bytes.length;) {
    const size = Math.min(MOST_BYTES, bytes.length - done)
    const got = readSync(descriptor, bytes, done, size, file.offset + start * width + done)
    if (got === 0) throw new EngineError(`${file.path} is cut short; run again`)
    done += got
  }
  return new CLASSES[file.array](buffer)
}
