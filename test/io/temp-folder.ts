import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A fresh folder for a suite, removed when the suite ends. Call inside `describe`. */
export function useTempFolder(): (name: string, content?: Uint8Array | string) => string {
  let folder = ''
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'retrograd-'))
  })
  after(() => {
    rmSync(folder, { recursive: true, force: true })
  })
  return (name, content) => {
    const path = join(folder, name)
    if (content !== undefined) writeFileSync(path, content)
    return path
  }
}

/** The error that a promise is rejected with; fails when it is not. */
export async function rejection(promise: Promise<unknown>): Promise<Error> {
  try {
    await promise
  } catch (error) {
    if (error instanceof Error) return error
    throw error
  }
  throw new Error('expected a rejection, but the promise was fulfilled')
}
