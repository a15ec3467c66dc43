import type { Arguments, Options } from 'yargs'
import { UsageError } from '../errors.js'
import { likelyName } from '../likely.js'

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
  const likely = likelyName(given, names)
  const hint = likely === undefined ? '; --help lists them' : `; did you mean --${likely}?`
  return new UsageError(`${dashes}${given} is no option${hint}`)
}

/** `batch-size` as `batchSize`. */
export function camelCase(name: string): string {
  return name.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase())
}

function kebabCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}
