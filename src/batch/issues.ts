import type * as z from 'zod'
import { likelyName } from '../likely.js'
import { listNames } from '../listing.js'
import type { OptionTable } from './options.js'

type Issue = z.core.$ZodIssue
type Path = readonly PropertyKey[]

/** What is wrong in a batch file, and at which key. */
export interface Complaint {
  readonly path: Path
  readonly message: string
}

const TOP = ['out', 'defaults', 'find', 'runs', 'overrides']
const OWN: Readonly<Record<string, readonly string[]>> = {
  runs: ['name', 'checkpoints'],
  find: ['path', 'name'],
  overrides: ['match', 'skip'],
}

/** The first complaint of a schema about a batch file, in words of the file. */
export function complaintOf(issue: Issue, table: OptionTable): Complaint {
  const { issue: inner, path } = innermost(issue)
  if (inner.code === 'unrecognized_keys') {
    const key = inner.keys[0] ?? ''
    return { path: [...path, key], message: unknownKey(key, path, table) }
  }
  return { path, message: describe(inner) }
}

/** Of a value that may have several forms: what is wrong with the form that it was meant to have. */
function innermost(issue: Issue, prefix: Path = []): { issue: Issue; path: Path } {
  const path = [...prefix, ...issue.path]
  if (issue.code !== 'invalid_union') return { issue, path }
  const meant = issue.errors
    .map(([first]) => first)
    .find((first) => first !== undefined && !(first.code === 'invalid_type' && first.path.length === 0))
  return meant === undefined ? { issue, path } : innermost(meant, path)
}

function describe(issue: Issue): string {
  const { input } = issue
  if (input === undefined && issue.code !== 'custom') return 'is missing'
  const given = `, not ${JSON.stringify(input)}`
  if (issue.code === 'invalid_value') return `one of ${issue.values.map(String).join(', ')} is needed${given}`
  if (issue.code === 'invalid_type') return `${article(issue.expected)} is needed${given}`
  if (issue.code === 'invalid_union' && issue.message === 'Invalid input')
    return `can't be ${JSON.stringify(input)}`
  return `${issue.message}${given}`
}

const ARTICLES: Readonly<Record<string, string>> = {
  object: 'a mapping (key: value)',
  array: 'a list (- ...)',
  string: 'text',
  boolean: 'true or false',
}

function article(expected: string): string {
  return ARTICLES[expected] ?? `a ${expected}`
}

function unknownKey(key: string, path: Path, table: OptionTable): string {
  const [place] = path
  const known = place === undefined ? TOP : [...(OWN[String(place)] ?? []), ...Object.keys(table)]
  const likely = likelyName(key, known) ?? known.find((name) => name === kebabCase(key))
  if (likely !== undefined) return `is no key; did you mean ${likely}?`
  if (place === undefined && (key in table || kebabCase(key) in table))
    return `is an option of runs: put it under defaults`
  return `is no key here; keys are ${listNames(known, 40)}`
}

function kebabCase(key: string): string {
  return key.replaceAll('_', '-').replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}
