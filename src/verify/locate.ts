import { existsSync } from 'node:fs'
import { dirname, isAbsolute, join, resolve } from 'node:path'
import { UsageError } from '../errors.js'

/**
 * Where a file or folder of a run is now. A manifest has paths as they were given to the run, which may be relative to a
 * folder that nobody recorded; so a relative path is looked for from the current folder, then from the results' folder
 * and from those above it. That it is the right one is checked by its hash.
 *
 * @param given what the user says, or undefined
 * @param recorded the manifest's path
 * @param option the option that says where it is
 * @throws UsageError where it is nowhere
 */
export function locate(
  given: string | undefined,
  recorded: string,
  { results, option }: { readonly results: string; readonly option: string },
): string {
  if (given !== undefined) return given
  if (existsSync(recorded)) return recorded
  const found = isAbsolute(recorded)
    ? undefined
    : foldersAbove(results)
        .map((folder) => join(folder, recorded))
        .find((path) => existsSync(path))
  if (found !== undefined) return found
  throw new UsageError(
    `${recorded}, from which ${results} was made, is not there any more: say where it is now with ${option}`,
  )
}

/** The folder, the one that it lies in, and so on. */
function foldersAbove(folder: string): string[] {
  const path = resolve(folder)
  const above = dirname(path)
  return above === path ? [path] : [path, ...foldersAbove(above)]
}
