/** A path within a file (of groups, of objects), one part longer; the root's is empty. */
export function joinPath(path: string, part: string): string {
  return path === '' ? part : `${path}/${part}`
}
