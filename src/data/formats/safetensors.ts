import { DataError } from '../../errors.js'
import { ByteReader } from '../../io/byte-reader.js'
import { decodeArray } from '../../io/decode.js'
import { streamRange, withFile } from '../../io/ranged-file.js'
import { looksLikeSafetensors, readSafetensorsHeader, type SafetensorsEntry } from '../../io/safetensors.js'
import { BYTES_PER_ELEMENT, DTYPES, type DType, type StoredDType, type TypedArray } from '../../tensor.js'
import type { StoredArray } from '../stored-array.js'
import { singleFile, type DataFormat } from './format.js'

/** The tensors of a safetensors file, by name. */
export const safetensors: DataFormat = {
  match: ({ head }) => looksLikeSafetensors(head),
  open: async ({ path }) => {
    const { tensors } = await withFile(path, DataError, (file) => readSafetensorsHeader(file, DataError))
    return singleFile(
      path,
      [...tensors.values()].map((entry) => tensorArray(path, entry)),
    )
  },
}

function tensorArray(path: string, entry: SafetensorsEntry): StoredArray {
  const { name, shape, dtype, unsupported } = entry
  if (unsupported !== undefined || !isDType(dtype)) {
    const type = unsupported ?? dtype
    const refusal = `has element type ${type}, which is not read as data; save it as float32, int64 or uint8`
    return { name, shape, type, refusal }
  }
  const where = `${path}: ${name}`
  const blocks = (): AsyncIterable<TypedArray> => tensorBlocks(path, where, entry, dtype)
  return { name, where, shape, dtype, order: 'row-major', place: { path, offset: entry.begin }, blocks }
}

async function* tensorBlocks(
  path: string,
  where: string,
  { begin, end }: SafetensorsEntry,
  dtype: DType,
): AsyncGenerator<TypedArray> {
  const reader = new ByteReader(streamRange(path, begin, end - begin, DataError), where, DataError)
  try {
    for await (const bytes of reader.blocks(BYTES_PER_ELEMENT[dtype])) yield decodeArray(bytes, dtype)
  } finally {
    await reader.close()
  }
}

function isDType(dtype: StoredDType): dtype is DType {
  return (DTYPES as readonly StoredDType[]).includes(dtype)
}
