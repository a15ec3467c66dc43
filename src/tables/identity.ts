import { createHash } from 'node:crypto'

/** What the results of a run depend on: options, inputs by their hashes, the machine. Values are JSON. */
export type Identity = Readonly<Record<string, unknown>>

/** Longest value that is shown whole. */
const SHOWN = 60

/** What differs between an unfinished run and the one that is asked for: `tolerance was 0.001, is 0.01`. */
export function differences(before: Identity, now: Identity): string[] {
  const names = [...new Set([...Object.keys(now), ...Object.keys(before)])]
  return names
    .filter((name) => JSON.stringify(before[name]) !== JSON.stringify(now[name]))
    .map((name) => `${name} was ${shown(before[name])}, is ${shown(now[name])}`)
}

/** SHA-256 (hex) of an identity: equal for runs that give the same results. */
export function hashOf(identity: Identity): string {
  return createHash('sha256').update(JSON.stringify(identity)).digest('hex')
}

function shown(value: unknown): string {
  if (value === undefined || value === null) return 'not given'
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return text.length > SHOWN ? `${text.slice(0, SHOWN)}...` : text
}
