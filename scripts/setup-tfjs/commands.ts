import { spawnSync } from 'node:child_process'

/** A step that could not be done, with its remedy: printed without a stack. */
export class SetupError extends Error {}

export interface CommandOptions {
  /** After so many milliseconds the command is ended. */
  readonly timeout?: number
  readonly cwd?: string
  readonly env?: NodeJS.ProcessEnv
}

/** What a command left: its exit status, and all that it printed. */
export interface Finished {
  readonly ok: boolean
  readonly missing: boolean
  readonly output: string
}

/** Runs a command to its end. Nothing goes through a shell. */
export function run(command: string, args: readonly string[], options: CommandOptions = {}): Finished {
  const { status, error, stdout, stderr } = spawnSync(command, args, {
    ...options,
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const missing = error !== undefined && 'code' in error && error.code === 'ENOENT'
  // spawnSync gives null for both where the command could not be started, whatever its types say
  const output = `${(stdout as string | null) ?? ''}${(stderr as string | null) ?? ''}${error === undefined ? '' : error.message}`
  return { ok: status === 0, missing, output }
}

/** The last lines of what a command printed, for an error's message. */
export function lastLines(output: string, lines = 12): string {
  return output.trimEnd().split('\n').slice(-lines).join('\n')
}

export function step(text: string): void {
  console.log(`setup:tfjs: ${text}`)
}

/** Bytes in words: 850 MB. */
export function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1e6)} MB`
}
