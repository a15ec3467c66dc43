import { lstat, realpath } from 'node:fs/promises'
import { join, sep } from 'node:path'

import { reasonOf } from '../errors.js'
import type { ErrorClass } from './corrupt.js'

/** A name of a file within its folder: nothing that leads elsewhere on any system. */
const PLAIN_NAME = /^(?!\.{1,2}$)[^/\\:\0]+$/

/**
 * The path of a file that another file of the same folder names.
 * @param namedBy the file that names it, for messages
 * @throws Fault when the name is none of a file in this folder, the file is missing, or a link that leads out
 */
export async function insideFolder(
  folder: string,
  name: string,
  namedBy: string,
  Fault: ErrorClass,
): Promise<string> {
  if (!PLAIN_NAME.test(name)) {
    throw new Fault(`${namedBy}: names the file ${JSON.stringify(name)}, which is none of this folder`)
  }
  const path = join(folder, name)
  try {
    if (!(await lstat(path)).isSymbolicLink()) return path
    const root = await realpath(folder)
    if ((await realpath(path)).startsWith(root.endsWith(sep) ? root : `${root}${sep}`)) return path
  } catch (error) {
    throw new Fault(`${namedBy}: the file ${name} that it names cannot be opened: ${reasonOf(error)}`)
  }
  throw new Fault(`${namedBy}: names the file ${name}, which is a link that leads out of the folder`)
}
