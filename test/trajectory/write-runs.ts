import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'

import { useTempFolder } from '../io/temp-folder.js'

/** Content of files by their paths within a folder. */
export type Files = Readonly<Record<string, Uint8Array | string>>

/** Writes folders of files, each a new one, and gives their paths. Call inside `describe`. */
export function useRuns(): (files: Files) => string {
  const file = useTempFolder()
  let runs = 0
  return (files) => {
    const folder = file(`run-${runs++}`)
    mkdirSync(folder)
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(dirname(`${folder}/${name}`), { recursive: true })
      writeFileSync(`${folder}/${name}`, content)
    }
    return folder
  }
}

/** A copy with one byte changed. */
export function flipped(bytes: Uint8Array, at: number, mask = 0x10): Uint8Array {
  const copy = Uint8Array.from(bytes)
  copy[at < 0 ? copy.length + at : at]! ^= mask
  return copy
}
