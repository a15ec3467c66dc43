import { join, resolve } from 'node:path'

/** Reference networks, their data and the peers' programs. */
export const SHARED = resolve('../shared')

/** A Python with torch. */
export const PYTHON = process.env.PYTHON ?? 'python3'

/** Threads of both sides. */
export const THREADS = 2

export function reference(folder: string): string {
  return join(SHARED, 'reference', folder)
}

export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!
}
