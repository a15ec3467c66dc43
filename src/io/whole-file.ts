import { closeSync, fsyncSync, openSync } from 'node:fs'
import { open, rename } from 'node:fs/promises'

/** Writes a file that is whole or not there: under another name first, onto the disk, then renamed. */
export async function writeWhole(path: string, text: string): Promise<void> {
  const file = await open(`${path}.tmp`, 'w')
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(`${path}.tmp`, path)
}

/** Puts a folder's entries on the disk: names of new and renamed files. Windows can't open folders, and has no need to. */
export function syncFolder(path: string): void {
  if (process.platform === 'win32') return
  const folder = openSync(path, 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}
