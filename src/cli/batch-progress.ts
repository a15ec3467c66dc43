import cliProgress from 'cli-progress'
import type { ReplayProgress } from '../batch/loop.js'
import { BAR_LOOKS, BAR_RESOLUTION, BarWithLines, formatSeconds } from './progress.js'

/** Shows how far a batch is, on a terminal; elsewhere only lines are printed. */
export interface BatchDisplay {
  /** How many runs are replayed. */
  start(runs: number): void
  begin(name: string): void
  update(progress: ReplayProgress): void
  /** A run has ended, well or not. */
  end(): void
  /** Prints a line without tearing the bar. */
  line(text: string): void
  stop(): void
}

export function batchDisplay(stream: NodeJS.WriteStream): BatchDisplay {
  return stream.isTTY ? new Bar(stream) : new Lines(stream)
}

class Lines implements BatchDisplay {
  constructor(private readonly stream: NodeJS.WritableStream) {}

  start(): void {}
  begin(): void {}
  update(): void {}
  end(): void {}
  stop(): void {}

  line(text: string): void {
    this.stream.write(`${text}\n`)
  }
}

/** One bar for all runs, each of which counts the same; it moves with the intervals of the one in work. */
class Bar extends BarWithLines implements BatchDisplay {
  private runs = 0
  private ended = 0
  private name = ''

  start(runs: number): void {
    this.runs = runs
  }

  begin(name: string): void {
    this.name = name
    this.bar ??= this.makeBar()
    this.show(0, 'opening')
  }

  update({ phase, done, intervals }: ReplayProgress): void {
    const current = `${Math.min(intervals, Math.floor(done) + 1)}/${intervals}`
    this.show(done / intervals, phase === 'replaying' ? `interval ${current}` : phase)
  }

  end(): void {
    this.ended += 1
  }

  private makeBar(): cliProgress.SingleBar {
    const bar = new cliProgress.SingleBar({
      stream: this.stream,
      format: '{bar} run {run} · {name} · {interval} · {left} left',
      ...BAR_LOOKS,
    })
    bar.start(this.runs * BAR_RESOLUTION, 0, this.words(0, 'opening'))
    return bar
  }

  private show(share: number, interval: string): void {
    const done = this.ended + Math.min(1, share)
    this.bar?.update(Math.round(done * BAR_RESOLUTION), this.words(done, interval))
  }

  private words(done: number, interval: string) {
    const seconds = (Date.now() - this.started) / 1000
    return {
      run: `${Math.min(this.runs, this.ended + 1)}/${this.runs}`,
      name: this.name,
      interval,
      left: done < 0.05 ? '...' : formatSeconds((seconds / done) * (this.runs - done)),
    }
  }
}
