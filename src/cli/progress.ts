import cliProgress from 'cli-progress'
import type { ReplayProgress } from '../replay/progress.js'

/** Shows how far a replay is, on a terminal; elsewhere it is quiet. */
export interface ProgressDisplay {
  update(progress: ReplayProgress): void
  /** Prints a line without tearing the bar. */
  line(text: string): void
  stop(): void
}

/** How bars look. */
export const BAR_LOOKS = {
  barCompleteChar: '█',
  barIncompleteChar: '░',
  barsize: 24,
  fps: 8,
  hideCursor: true,
  clearOnComplete: true,
  gracefulExit: false,
  linewrap: true,
} as const

/** Intervals and runs are counted in thousandths, so that a bar moves within one. */
export const BAR_RESOLUTION = 1000

export function progressDisplay(stream: NodeJS.WriteStream): ProgressDisplay {
  return stream.isTTY ? new Bar(stream) : quiet(stream)
}

function quiet(stream: NodeJS.WritableStream): ProgressDisplay {
  return {
    update: () => undefined,
    line: (text) => {
      stream.write(`${text}\n`)
    },
    stop: () => undefined,
  }
}

/** A bar that lines can be printed above. */
export class BarWithLines {
  protected bar: cliProgress.SingleBar | undefined
  protected readonly started = Date.now()

  constructor(protected readonly stream: NodeJS.WriteStream) {}

  line(text: string): void {
    if (this.bar !== undefined) this.stream.write('\r\x1b[2K')
    this.stream.write(`${text}\n`)
  }

  stop(): void {
    this.bar?.stop()
    this.bar = undefined
  }
}

class Bar extends BarWithLines implements ProgressDisplay {
  private phase: ReplayProgress['phase'] = 'replaying'
  /** When the phase began, and how much was done then. */
  private since = { time: this.started, done: 0 }

  update(progress: ReplayProgress): void {
    if (progress.phase !== this.phase) this.since = { time: Date.now(), done: progress.done }
    this.phase = progress.phase
    this.bar ??= this.start(progress.intervals)
    this.bar.update(Math.round(progress.done * BAR_RESOLUTION), {
      phase: progress.phase,
      interval: `${Math.min(progress.intervals, Math.floor(progress.done) + 1)}/${progress.intervals}`,
      loss: Number.isFinite(progress.loss) ? progress.loss.toFixed(4) : '...',
      residual: Number.isFinite(progress.residual) ? progress.residual.toExponential(1) : '...',
      left: this.timeLeft(progress),
    })
  }

  private start(intervals: number): cliProgress.SingleBar {
    const bar = new cliProgress.SingleBar({
      stream: this.stream,
      format: '{phase} {bar} interval {interval} · loss {loss} · residual {residual} · {left} left',
      ...BAR_LOOKS,
    })
    bar.start(intervals * BAR_RESOLUTION, 0, {
      phase: this.phase,
      interval: `1/${intervals}`,
      loss: '...',
      residual: '...',
      left: '...',
    })
    return bar
  }

  private timeLeft({ done, intervals }: ReplayProgress): string {
    const seconds = (Date.now() - this.since.time) / 1000
    const doneSince = done - this.since.done
    return doneSince < 0.05 ? '...' : formatSeconds((seconds / doneSince) * (intervals - done))
  }
}

/** Shows how many of a known number are done, on a terminal; elsewhere it is quiet. Returns what advances and what ends it. */
export function countDisplay(
  stream: NodeJS.WriteStream,
  what: string,
): { update(done: number, total: number): void; stop(): void } {
  if (!stream.isTTY) return { update: () => undefined, stop: () => undefined }
  const bar = new cliProgress.SingleBar({
    stream,
    format: `${what} {bar} {value}/{total} · {eta_formatted} left`,
    ...BAR_LOOKS,
  })
  return {
    update: (done, total) => {
      if (!bar.isActive) bar.start(total, done)
      bar.update(done)
    },
    stop: () => {
      bar.stop()
    },
  }
}

/** `42 s`, `3 min 05 s`, `2 h 10 min`. */
export function formatSeconds(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds))
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60)]
  const two = (value: number): string => String(value).padStart(2, '0')
  if (hours > 0) return `${hours} h ${two(minutes)} min`
  return minutes > 0 ? `${minutes} min ${two(whole % 60)} s` : `${whole} s`
}
