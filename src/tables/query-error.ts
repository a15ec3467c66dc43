import { reasonOf, ResultsError, UsageError, type RetrogradError } from '../errors.js'
import { printable } from '../printable.js'

/** How DuckDB's messages begin where it is not the query that is wrong. */
const NOT_THE_QUERY =
  /^(IO|Out of Memory|Invalid|Serialization|Fatal|INTERNAL|TransactionContext|Connection|Interrupt) Error|\.parquet\b/

/** What DuckDB says of a query over the tables of `dir`, with the line that points at the place. */
export function queryError(error: unknown, dir: string): RetrogradError {
  const message = printable(reasonOf(error)).replace(/^Failed to \w+ \w+: /, '')
  if (message.startsWith('Permission Error')) return new UsageError(forbidden(message), { cause: error })
  if (NOT_THE_QUERY.test(message.split('\n')[0]!))
    return new ResultsError(`DuckDB failed on the tables of ${dir}: ${message}`, { cause: error })
  return new UsageError(message, { cause: error })
}

function forbidden(message: string): string {
  return `a query reads the tables of the results only. ${message}`
}
