import type { Arguments, Options } from 'yargs'
import { UsageError } from '../errors.js'

/** A name this many edits away may have been meant. */
const CLOSE = 3

/**
 * A check that runs before yargs' own, so that a misspelt option is not reported as a missing one: every option must
 * be known, and only repeatable ones may be given more than once. Throws UsageError with the likely name.
 */
export function checkOptions(known: Readonly<Record<string, Options>>): (argv: Arguments) => void {
  const names = [...Object.keys(known), 'help', 'version']
  const spellings = new Set(['_', '$0', 'h', ...names, ...names.map(camelCase)])
  return (argv) => {
    for (const [given, value] of Object.entries(argv)) {
      if (!spellings.has(given)) throw unknownOption(given, names)
      if (Array.isArray(value) && given !== '_' && known[kebabCase(given)]?.array !== true)
        throw new UsageError(`--${given} is given more than once`)
      if (isEmpty(value)) throw new UsageError(`--${given} is given without a value`)
    }
  }
}

function isEmpty(value: unknown): boolean {
  return value === '' || (Array.isArray(value) && value.some((one) => one === ''))
}

function unknownOption(given: string, names: readonly string[]): UsageError {
  const dashes = given.length === 1 ? '-' : '--'
  const [best] = names
    .map((name) => ({ name, edits: distance(given, name) }))
    .sort((a, b) => a.edits - b.edits)
  const hint =
    best !== undefined && best.edits <= Math.min(CLOSE, given.length / 2)
      ? `; did you mean --${best.name}?`
      : ''
  return new UsageError(`${dashes}${given} is no option${hint || '; --help lists them'}`)
}

function camelCase(name: string): string {
  return name.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase())
}

function kebabCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}

/** Levenshtein's distance: insertions, deletions and exchanges of a letter. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i]
    for (let j = 1; j <= b.length; j += 1)
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)))
    row = next
  }
  return row[b.length]!
}
