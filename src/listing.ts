/** Names as a message lists them: the first few, and how many more there are. */
export function listNames(names: readonly string[], most = 10): string {
  const more = names.length > most ? ` and ${names.length - most} more` : ''
  return `${names.slice(0, most).join(', ')}${more}`
}

const natural = new Intl.Collator('en', { numeric: true })

/** Compares names as people do: digits by their value, so that `step-2` comes before `step-10`. */
export function compareNaturally(a: string, b: string): number {
  return natural.compare(a, b) || (a < b ? -1 : 1)
}
