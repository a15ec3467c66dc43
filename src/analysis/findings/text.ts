import type { Estimate } from '../model.js'

/** A number with three significant digits. */
export function short(value: number): string {
  if (value === 0) return '0'
  const size = Math.abs(value)
  if (size >= 1e5 || size < 1e-3) return value.toExponential(1)
  return size >= 1000 ? String(Math.round(value)) : value.toPrecision(3)
}

/** The same with its sign. */
export function signed(value: number): string {
  return value > 0 ? `+${short(value)}` : short(value).replace('-', '−')
}

/** `+0.41 (95 % interval +0.3 to +0.52)`. */
export function estimated({ value, low, high }: Estimate, as: (value: number) => string = signed): string {
  return Number.isNaN(low) ? as(value) : `${as(value)} (95 % interval ${as(low)} to ${as(high)})`
}

/** A share as `12.3 %`, of very small ones more digits. */
export function percent(share: number): string {
  const hundredths = 100 * share
  return `${Math.abs(hundredths) >= 0.1 || hundredths === 0 ? hundredths.toFixed(1) : short(hundredths)} %`
}

/** `conv1, conv2 and fc`; of many names the first ones and how many more. */
export function listed(names: readonly string[], most = 6): string {
  const shown = names.length > most ? [...names.slice(0, most), `${names.length - most} more`] : names
  return shown.length < 2 ? shown.join('') : `${shown.slice(0, -1).join(', ')} and ${shown.at(-1)!}`
}
