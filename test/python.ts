import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'

/** The Python of scripts/requirements.txt where CI made it, else the one that is installed. */
const CANDIDATES = ['.venv/bin/python', 'python3', 'python']

/** A Python that has these modules, or undefined. */
export function pythonWith(...modules: readonly string[]): string | undefined {
  return CANDIDATES.filter((path) => !path.includes('/') || existsSync(path)).find(
    (path) => spawnSync(path, ['-c', `import ${modules.join(', ')}`]).status === 0,
  )
}
