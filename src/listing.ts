/** Names as a message lists them: the first few, and how many more there are. */
export function listNames(names: readonly string[], most = 10): string {
  const more = names.length > most ? ` and ${names.length - most} more` : ''
  return `${names.slice(0, most).join(', ')}${more}`
}
