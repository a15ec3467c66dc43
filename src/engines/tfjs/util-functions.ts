import { createRequire } from 'node:module'

/** Functions of Node.js' util that version 23 took away, and that tfjs-node 4.22 calls on every tensor. */
const GONE = {
  isNullOrUndefined: (value: unknown) => value === null || value === undefined,
  isArray: (value: unknown) => Array.isArray(value),
  isString: (value: unknown) => typeof value === 'string',
} as const

/** Gives util back what it has lost, in this process; functions that are there stay as they are. */
export function restoreUtilFunctions(): void {
  // the module object that `require('util')` gives, since the namespace of an import can't be added to
  const util = createRequire(import.meta.url)('node:util') as Record<string, unknown>
  for (const [name, test] of Object.entries(GONE)) util[name] ??= test
}
