import { startWorkers } from '../replay/workers/start.js'
import type { StartedWorkers } from '../replay/workers/start.js'

let early: StartedWorkers | undefined

/**
 * Begins the engine's processes of `run` before anything else is loaded: they take as long to start as this process takes
 * to load the command line and the replay. Whatever else the line says is for its parser.
 */
export function beginEarlyWorkers(args: readonly string[]): void {
  const asksForHelp = args.some((arg) => arg === '--help' || arg === '-h')
  if (args[0] === 'run' && !asksForHelp) early = startWorkers(workersIn(args))
}

/** The processes that were begun, or as many as are asked for; they are the caller's to stop. */
export function takeWorkers(asked: number | undefined): StartedWorkers {
  const taken = early ?? startWorkers(asked)
  early = undefined
  return taken
}

/** Ends those that nobody took, since the line was no good. */
export function stopEarlyWorkers(): void {
  early?.stop()
  early = undefined
}

/** What --workers says, where it is a number. */
function workersIn(args: readonly string[]): number | undefined {
  const at = args.findIndex((arg) => arg === '--workers' || arg.startsWith('--workers='))
  const text = args[at]?.split('=')[1] ?? args[at + 1] ?? ''
  return at >= 0 && /^[1-9]\d*$/.test(text) ? Number(text) : undefined
}
