import { EXIT } from '../errors.js'

export interface Interrupt {
  readonly signal: AbortSignal
  /** Stops listening. */
  done(): void
}

/** Turns the first SIGINT or SIGTERM into an abort signal, so that finished work is kept; the second one ends the process. */
export function onInterrupt(notice: () => void): Interrupt {
  const controller = new AbortController()
  const stop = (): void => {
    if (controller.signal.aborted) process.exit(EXIT.interrupted)
    controller.abort()
    notice()
  }
  process.on('SIGINT', stop)
  process.on('SIGTERM', stop)
  return {
    signal: controller.signal,
    done: () => {
      process.off('SIGINT', stop)
      process.off('SIGTERM', stop)
    },
  }
}
