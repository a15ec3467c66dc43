import { createHash } from 'node:crypto'
import { openResults } from '../../src/tables/read.js'

/** A digest of every column of every table, in the order of the rows, and of what the manifest says of the result. */
export type Bits = ReadonlyMap<string, string>

/** Numbers count by their bytes, so that NaN equals itself and 0 is not -0. */
export async function bitsOf(out: string): Promise<Bits> {
  const results = await openResults(out)
  const bits = new Map<string, string>()
  for (const table of results.tables) {
    const { rows, columns } = await results.readTable(table)
    bits.set(table, `${rows} rows`)
    for (const [name, values] of Object.entries(columns)) bits.set(`${table}.${name}`, digest(values))
  }
  return bits.set('manifest.result', JSON.stringify(results.manifest.result))
}

/** @throws Error that names the columns that differ */
export function assertSame(bits: Bits, expected: Bits): void {
  const names = new Set([...bits.keys(), ...expected.keys()])
  const different = [...names].filter((name) => bits.get(name) !== expected.get(name))
  if (different.length > 0)
    throw new Error(`results differ from those of the uninterrupted run: ${different.join(', ')}`)
}

function digest(values: unknown): string {
  const hash = createHash('sha256')
  for (const value of ArrayBuffer.isView(values) ? [values] : (values as unknown[]))
    hash.update(
      ArrayBuffer.isView(value)
        ? new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
        : JSON.stringify([value]),
    )
  return hash.digest('hex')
}
