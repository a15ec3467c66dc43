import type { ColumnMetaData } from 'hyparquet'
import { ByteWriter, type ParquetWriter } from 'hyparquet-writer'
import { ChunkWriter, RunLengths } from './column-chunk.js'
import type { Constant, Runs } from './runs.js'

/**
 * Appends a column of strings by dictionary, run by run, to the row group that `parquet` wrote last. The library looks at
 * every row for the dictionary and twice more for the statistics; here the work is that of the runs.
 */
export function appendStrings(
  parquet: ParquetWriter,
  name: string,
  { values, lengths, length }: Runs,
  { statistics }: { readonly statistics: boolean },
): void {
  const numbers = new Map<string, number>()
  for (const value of values) if (!numbers.has(value)) numbers.set(value, numbers.size)
  const runs = new DictionaryRuns(numbers.size)
  values.forEach((value, i) => {
    runs.append(numbers.get(value)!, lengths[i]!)
  })
  const distinct = [...numbers.keys()]
  const chunk = new ChunkWriter(parquet, 'BYTE_ARRAY', [name])
  chunk.dictionary(distinct.length, plainStrings(distinct))
  chunk.data({ rows: length, encoding: 'RLE_DICTIONARY', bytes: runs.finish() })
  chunk.finish(statistics ? bounds(distinct) : undefined)
}

/** Appends a column of float64 that holds one number, as its dictionary and one run. */
export function appendConstant(parquet: ParquetWriter, name: string, { constant, length }: Constant): void {
  const runs = new DictionaryRuns(1)
  runs.append(0, length)
  const chunk = new ChunkWriter(parquet, 'DOUBLE', [name])
  chunk.dictionary(1, new Uint8Array(Float64Array.of(constant).buffer))
  chunk.data({ rows: length, encoding: 'RLE_DICTIONARY', bytes: runs.finish() })
  chunk.finish()
}

/** What a page by dictionary holds: a byte that says how many bits a number takes, then runs of numbers. */
class DictionaryRuns {
  private readonly bits: number
  private readonly runs: RunLengths

  constructor(numbers: number) {
    this.bits = Math.max(1, Math.ceil(Math.log2(numbers)))
    this.runs = new RunLengths(Math.ceil(this.bits / 8))
  }

  append(number: number, count: number): void {
    this.runs.append(number, count)
  }

  finish(): Uint8Array {
    const runs = this.runs.finish()
    const bytes = new Uint8Array(1 + runs.length)
    bytes[0] = this.bits
    bytes.set(runs, 1)
    return bytes
  }
}

/** Parquet's plain encoding of strings: UTF-8 behind its length. */
function plainStrings(values: readonly string[]): Uint8Array {
  const writer = new ByteWriter()
  for (const value of values) {
    const bytes = Buffer.from(value)
    writer.appendUint32(bytes.length)
    writer.appendBytes(bytes)
  }
  return writer.getBytes()
}

/** Strings are ordered by their bytes. */
function bounds(values: readonly string[]): ColumnMetaData['statistics'] {
  const ordered = [...values].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  return { min_value: ordered[0]!, max_value: ordered.at(-1)!, null_count: 0n }
}
