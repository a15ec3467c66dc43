import type { DataSet, Samples } from '../../data/needs.js'
import type { SampleArray, SplitData } from '../../engines/engine.js'
import { elementCount } from '../../tensor.js'
import type { TypedArray } from '../../tensor.js'
import { ArrayFile, writeFile } from '../store/array-file.js'
import { ARRAY_NAMES } from './messages.js'
import type { ArrayName, SampleFile, SplitFiles } from './messages.js'

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

function writeSamples(path: string, samples: Samples): SampleFile {
  const { dtype, sampleShape, data, place } = samples
  const array = arrayNameOf(samples)
  if (place !== undefined) return { dtype, sampleShape, ...place, array }
  writeFile(path, (file) => {
    file.write(data, 0)
  })
  return { dtype, sampleShape, path, offset: 0, array }
}

/** What is left of a split in a process that does not compute. */
export function withoutArrays(set: DataSet): DataSet {
  const { target } = set
  const inputs = new Map([...set.inputs].map(([name, samples]) => [name, withoutArray(samples)]))
  return { ...set, inputs, ...(target && { target: withoutArray(target) }) }
}

function withoutArray(samples: Samples): Samples {
  return { ...samples, data: new CLASSES[arrayNameOf(samples)](new ArrayBuffer(0)) }
}

function arrayNameOf({ data }: Samples): ArrayName {
  return ARRAY_NAMES.find((name) => data instanceof CLASSES[name])!
}

/** Splits whose arrays are read into memory where all of them fit into `keepBytes`, and from their files otherwise. */
export function openSplits(splits: readonly SplitFiles[], keepBytes: number): SplitData[] {
  const total = splits.reduce((sum, split) => sum + split.samples * sampleBytesOf(split), 0)
  return splits.map(({ samples, inputs, target }) => {
    const open = (file: SampleFile): SampleArray => openSamples(file, samples, total <= keepBytes)
    return {
      samples,
      inputs: new Map(Object.entries(inputs).map(([name, file]) => [name, open(file)])),
      ...(target && { target: open(target) }),
    }
  })
}

function sampleBytesOf({ inputs, target }: SplitFiles): number {
  const files = [...Object.values(inputs), ...(target ? [target] : [])]
  return files.reduce((sum, file) => sum + sampleBytes(file), 0)
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

function openSamples(samples: SampleFile, count: number, keep: boolean): SampleArray {
  const { dtype, sampleShape, path, array } = samples
  const file = ArrayFile.open(path)
  const read = (start: number, size: number): TypedArray => {
    const width = sampleBytes(samples)
    const values = new CLASSES[array](new ArrayBuffer(size * width))
    return file.read(values, samples.offset + start * width)
  }
  if (!keep) return { dtype, sampleShape, read }
  const data = read(0, count)
  file.close()
  return { dtype, sampleShape, data }
}
