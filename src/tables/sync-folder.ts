import { closeSync, fsyncSync, openSync } from 'node:fs'

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
