import type { ParquetWriter } from 'hyparquet-writer'
import { ChunkWriter, splitStreams } from './column-chunk.js'

/**
 * Appends a column of float64 as byte streams to the row group that `parquet` wrote last. The library writes the streams
 * byte by byte into a growing array, which takes four times as long.
 */
export function appendDoubles(parquet: ParquetWriter, name: string, values: Float64Array): void {
  const chunk = new ChunkWriter(parquet, 'DOUBLE', [name])
  chunk.data({
    rows: values.length,
    encoding: 'BYTE_STREAM_SPLIT',
    bytes: splitStreams([values], Float64Array.BYTES_PER_ELEMENT),
  })
  chunk.finish()
}
