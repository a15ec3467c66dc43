import { DataError } from '../../errors.js'
import { decodeArray } from '../../io/decode.js'
import { Hdf5File, looksLikeHdf5, type Hdf5Dataset } from '../../io/hdf5.js'
import { BYTES_PER_ELEMENT, elementCount, type DType, type TypedArray } from '../../tensor.js'
import type { ArrayFile, StoredArray } from '../stored-array.js'
import { singleFile, type DataFormat } from './format.js'

/** HDF5 values are copied out of the library's memory in blocks of about this size. */
const BLOCK_BYTES = 16 * 2 ** 20

/** The datasets of an HDF5 file, by name. */
export const hdf5: DataFormat = {
  match: ({ head }) => looksLikeHdf5(head),
  open: ({ path }) => openHdf5(path),
}

async function openHdf5(path: string): Promise<ArrayFile> {
  const file = await Hdf5File.open(path, DataError)
  return singleFile(
    path,
    file.datasets.map((dataset) => datasetArray(file, dataset)),
  )
}

function datasetArray(file: Hdf5File, dataset: Hdf5Dataset): StoredArray {
  const { name, shape, dtype } = dataset
  if (dtype === undefined) return { name, shape, type: 'no numbers', refusal: 'does not hold numbers' }
  const fault = file.faultOf(dataset)
  if (fault !== undefined) return { name, shape, type: dtype, refusal: fault }
  const blocks = (): AsyncIterable<TypedArray> => datasetBlocks(file, dataset, dtype)
  return { name, where: `${file.path}: ${name}`, shape, dtype, order: 'row-major', blocks }
}

async function* datasetBlocks(
  file: Hdf5File,
  dataset: Hdf5Dataset,
  dtype: DType,
): AsyncGenerator<TypedArray> {
  const [rows = 0, ...rest] = dataset.shape
  const rowBytes = Math.max(1, elementCount(rest) * BYTES_PER_ELEMENT[dtype])
  const step = Math.max(1, Math.floor(BLOCK_BYTES / rowBytes))
  for (let row = 0; row < rows; row += step) {
    const count = [Math.min(step, rows - row), ...rest]
    yield decodeArray(await file.read(dataset, [row, ...rest.map(() => 0)], count), dtype)
  }
}
