import { isatty } from 'node:tty'
import pc from 'picocolors'
import type { Colors } from 'picocolors/types.js'

/** Columns aligned by their widest entry: the first to the left, numbers to the right, the last to the left. */
export function table(rows: readonly (readonly string[])[], color: Colors): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  return rows.map((row, index) => {
    const cells = row.map((cell, column) => {
      if (column === row.length - 1) return cell
      return column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)
    })
    const line = `  ${cells.join('  ')}`.trimEnd()
    return index === 0 ? color.dim(line) : line
  })
}

/** A loss or a part of one. */
export function number(value: number): string {
  return Math.abs(value) >= 1e-3 && Math.abs(value) < 1e5 ? value.toFixed(4) : value.toExponential(2)
}

/** A change, with its sign. */
export function signed(value: number): string {
  if (Number.isNaN(value)) return ''
  return value === 0 ? '0' : (value > 0 ? '+' : '') + number(value)
}

const LEVELS = '▁▂▃▄▅▆▇█'
const SPARKS = 32

/** A line of blocks, lowest to highest value; of many values evenly spaced ones. */
export function sparkline(values: readonly number[]): string {
  const count = Math.min(SPARKS, values.length)
  const shown = Array.from(
    { length: count },
    (_, i) => values[Math.round((i * (values.length - 1)) / (count - 1))]!,
  )
  const [low, high] = [Math.min(...shown), Math.max(...shown)]
  const level = (value: number): number => (high > low ? (value - low) / (high - low) : 0)
  return shown.map((value) => LEVELS[Math.round(level(value) * (LEVELS.length - 1))]!).join('')
}

/** An error's size: `3.5e-5`. */
export function exponent(value: number): string {
  return value.toExponential(1)
}

/** A share: `12.3 %`. */
export function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`
}

/** `12.3 kB`, in powers of 1000. */
export function byteSize(bytes: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB']
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3))
  return power === 0 ? `${bytes} bytes` : `${(bytes / 1000 ** power).toPrecision(3)} ${units[power]!}`
}

/** On a terminal, and where FORCE_COLOR asks for it; CI logs and pipes stay plain. */
export function colors(): Colors {
  const forced = !['', '0', undefined].includes(process.env.FORCE_COLOR)
  // stdout.isTTY won't do: it is undefined for a pipe, for which createColors has a rule of its own, colors wherever CI is set
  return pc.createColors(pc.isColorSupported && (forced || isatty(process.stdout.fd)))
}
