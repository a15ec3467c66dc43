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
