import type { DuckDBValue } from '@duckdb/node-api'

/** How a value is read as text: floating point numbers in the fewest digits that say them exactly, NULL as nothing. */
export function valueText(value: DuckDBValue, type: string): string {
  if (value === null) return ''
  return typeof value === 'number' && isFloat(type) ? floatText(value) : String(value)
}

/** JSON of a value. What JSON can't say (NaN, infinities) is null; integers are written in all their digits. */
export function jsonText(value: DuckDBValue, type = ''): string {
  if (value === null || typeof value === 'boolean' || typeof value === 'bigint') return String(value)
  if (typeof value === 'number') return numberJson(value, type)
  if (typeof value === 'string') return stringJson(value)
  if ('width' in value) return value.toString()
  if ('items' in value) return `[${value.items.map((item) => jsonText(item, elementOf(type))).join(',')}]`
  if ('entries' in value && !Array.isArray(value.entries)) return structJson(value.entries)
  return stringJson(value.toString())
}

/** Columns whose numbers are aligned to the right. */
export function isNumeric(type: string): boolean {
  return isFloat(type) || /^(U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER|DECIMAL\(.*\))$/.test(type)
}

function isFloat(type: string): boolean {
  return type === 'DOUBLE' || type === 'FLOAT'
}

/** With a point or an exponent, so that readers that guess types don't take whole numbers for integers. */
function floatText(value: number): string {
  const text = Object.is(value, -0) ? '-0' : String(value)
  return /^-?\d+$/.test(text) ? `${text}.0` : text
}

function numberJson(value: number, type: string): string {
  if (!Number.isFinite(value)) return 'null'
  return isFloat(type) ? floatText(value) : String(value)
}

/** The type of a list's elements: `FLOAT` of `FLOAT[]`, and of `FLOAT[3]`. */
function elementOf(type: string): string {
  return type.replace(/\[\d*\]$/, '')
}

function structJson(entries: Readonly<Record<string, DuckDBValue>>): string {
  const members = Object.entries(entries).map(([name, value]) => `${stringJson(name)}:${jsonText(value)}`)
  return `{${members.join(',')}}`
}

/** Also without the control characters that JSON lets stand. */
export function stringJson(text: string): string {
  return JSON.stringify(text).replace(
    /[\u007f-\u009f]/g,
    (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
