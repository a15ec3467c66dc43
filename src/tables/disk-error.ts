import { ResultsError } from '../errors.js'

const REMEDIES: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full: free some space or choose another --out',
  EDQUOT: 'the disk quota is used up: free some space or choose another --out',
  EACCES: 'permission denied: choose another --out',
  EPERM: 'permission denied: choose another --out',
  EROFS: 'the file system is read-only: choose another --out',
  ENOENT: 'the folder was removed while the run was writing there: run again',
}

/** An operating system's error as a ResultsError that names the file and a remedy; other errors pass unchanged. */
export function diskError(path: string, error: unknown): unknown {
  if (!(error instanceof Error && 'syscall' in error)) return error
  const code = 'code' in error ? String(error.code) : ''
  return new ResultsError(`cannot write ${path}: ${REMEDIES[code] ?? error.message}`, { cause: error })
}
