import { startWorkers } from '../replay/workers/start.js'
import type { EarlyWorkers, StartedWorkers } from '../replay/workers/start.js'
import { DEVICE_CHOICES } from '../engines/devices/names.js'

let early: StartedWorkers | undefined

/**
 * Begins the engine's processes of `run` before anything else is loaded: they take as long to start as this process takes
 * to load the command line and the replay. Whatever else the line says is for its parser.
 */
export function beginEarlyWorkers(args: readonly string[]): void {
  const asksForHelp = args.some((arg) => arg === '--help' || arg === '-h')
  if (args[0] === 'run' && !asksForHelp) early = startWorkers(earlyWorkersIn(args))
}

/** The processes that were begun, or as many as are asked for; they are the caller's to stop. */
export function takeWorkers(asked: EarlyWorkers): StartedWorkers {
  const begun = early
  early = undefined
  // what the line says of their environment may have been misread
  if (begun?.tf32 === (asked.tf32 ?? false)) return begun
  begun?.stop()
  return startWorkers(asked)
}

/** Ends those that nobody took, since the line was no good. */
export function stopEarlyWorkers(): void {
  early?.stop()
  early = undefined
}

/** What a line says of the processes, as far as it can be told without its parser. */
export function earlyWorkersIn(args: readonly string[]): EarlyWorkers {
  const workers = valueOf(args, '--workers') ?? ''
  const device = DEVICE_CHOICES.find((name) => name === valueOf(args, '--device'))
  return {
    ...(/^[1-9]\d*$/.test(workers) && { workers: Number(workers) }),
    ...(device !== undefined && { device }),
    tf32: args.some((arg) => arg === '--tf32' || arg === '--tf32=true'),
  }
}

/** What follows an option, behind it or behind its equals sign. */
function valueOf(args: readonly string[], option: string): string | undefined {
  const at = args.findIndex((arg) => arg === option || arg.startsWith(`${option}=`))
  return at === -1 ? undefined : args[at] === option ? args[at + 1] : args[at]!.slice(option.length + 1)
}
