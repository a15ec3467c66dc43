/** A loss or a part of one: four digits, `0.0123` or `1.2e-5`. */
export function number(value: number): string {
  if (Number.isNaN(value)) return '–'
  if (value === 0) return '0'
  const size = Math.abs(value)
  const text =
    size >= 1e-3 && size < 1e5 ? value.toFixed(Math.max(0, 3 - Math.floor(Math.log10(size)))) : power(value)
  return text.replaceAll('-', '−')
}

function power(value: number): string {
  return value.toExponential(1).replace('e+', 'e')
}

/** A number that somebody chose, with the digits it was chosen with: `0.001`. */
export function plain(value: number): string {
  return String(value).replaceAll('-', '−')
}

/** A change, with its sign. */
export function signed(value: number): string {
  return value > 0 ? `+${number(value)}` : number(value)
}

/** A share: `12.3 %`. */
export function percent(share: number): string {
  return Number.isNaN(share) ? '–' : `${(100 * share).toFixed(1)} %`
}

/** A p-value as papers give it. */
export function pValue(p: number): string {
  if (p < 0.001) return 'p < 0.001'
  return `p = ${p < 0.1 ? p.toFixed(3) : p.toFixed(2)}`
}
