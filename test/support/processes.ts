import { readdirSync, readFileSync } from 'node:fs'

export interface ProcessFacts {
  readonly pid: number
  /** One letter: `Z` for one that has ended. */
  readonly state: string
  readonly parent: number
  readonly group: number
}

/** All processes that Linux lists. */
export function processes(): ProcessFacts[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return []
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'latin1')
      // the command's name, in parentheses, may hold anything
      const [state, parent, group] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      return [{ pid: Number(name), state: state!, parent: Number(parent), group: Number(group) }]
    } catch {
      return []
    }
  })
}

/** Processes of a group that have not ended. */
export function livingInGroup(group: number): number[] {
  return processes().flatMap(({ pid, group: its, state }) => (its === group && state !== 'Z' ? [pid] : []))
}
