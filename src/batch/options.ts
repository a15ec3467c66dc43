/** What an option of a run holds, on the command line and in a batch file. */
export type OptionValue = string | number | boolean | readonly string[]

/** Options of a run by their names on the command line (`batch-size`), those that are given. */
export type OptionValues = Readonly<Record<string, OptionValue>>

/** An option as yargs declares it, and what a batch has to know of it besides. */
export interface OptionSpec {
  readonly type?: string
  readonly choices?: readonly string[]
  /** Whether it may be given several times; a batch file then takes a list. */
  readonly array?: boolean
  readonly describe?: string
  readonly demandOption?: boolean
  /** Where the option names a file: finds it, as the group `path`. A value that it does not match names none. */
  readonly path?: RegExp
  /** An option that changes how fast results come, and not what they are. */
  readonly inert?: boolean
}

export type OptionTable = Readonly<Record<string, OptionSpec>>

/** The value with its path replaced; other values as they are. */
export function mapPath(spec: OptionSpec, value: OptionValue, change: (path: string) => string): OptionValue {
  const one = (text: string): string => {
    const path = spec.path?.exec(text)?.groups?.path
    return path === undefined ? text : text.slice(0, text.length - path.length) + change(path)
  }
  if (typeof value === 'string') return one(value)
  return typeof value === 'object' ? value.map(one) : value
}

/** The paths that an option's value names. */
export function pathsIn(spec: OptionSpec, value: OptionValue): string[] {
  const paths: string[] = []
  mapPath(spec, value, (path) => {
    paths.push(path)
    return path
  })
  return paths
}
