import type { ParquetWriter } from 'hyparquet-writer'
import { ChunkWriter, RunLengths, splitStreams } from './column-chunk.js'
import type { DataPage } from './column-chunk.js'

/** Pages end at the first row that reaches this size; a row never spans pages. */
const PAGE_BYTES = 1 << 20

/**
 * Appends the column `name`, one list of float32 per row, to the row group that `parquet` wrote last. The library takes
 * lists of boxed numbers with two boxed levels for each, 24 bytes and more per value; rows here hold a tensor's
 * parameters, so they are encoded from the typed arrays.
 * Throws RangeError when a row does not fit a page (2 GiB).
 */
export function appendFloatLists(parquet: ParquetWriter, name: string, rows: readonly Float32Array[]): void {
  const chunk = new ChunkWriter(parquet, 'FLOAT', [name, 'list', 'element'])
  for (const page of pagesOf(rows)) chunk.data(pageOf(page))
  chunk.finish()
}

function* pagesOf(rows: readonly Float32Array[]): Generator<readonly Float32Array[]> {
  let first = 0
  let bytes = 0
  for (const [i, row] of rows.entries()) {
    bytes += row.byteLength
    if (bytes < PAGE_BYTES && i < rows.length - 1) continue
    yield rows.slice(first, i + 1)
    first = i + 1
    bytes = 0
  }
}

/**
 * An empty list counts as a value. Repetition 0 starts a row and 1 continues it; definition 1 holds a value, 0 stands for
 * an empty list.
 */
function pageOf(rows: readonly Float32Array[]): DataPage {
  const [repetition, definition] = [new RunLengths(1), new RunLengths(1)]
  let empty = 0
  for (const { length } of rows) {
    repetition.append(0, 1)
    repetition.append(1, length - 1)
    definition.append(length === 0 ? 0 : 1, Math.max(length, 1))
    if (length === 0) empty += 1
  }
  return {
    rows: rows.length,
    values: repetition.total,
    empty,
    encoding: 'BYTE_STREAM_SPLIT',
    bytes: splitStreams(rows, Float32Array.BYTES_PER_ELEMENT),
    repetition: repetition.finish(),
    definition: definition.finish(),
  }
}
