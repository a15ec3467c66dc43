import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { livingInGroup, processes } from '../../test/support/processes.js'
import type { RecordedRun } from './recorded-runs.js'

const MAIN = fileURLToPath(new URL('../../bin/main.js', import.meta.url))

/** Workers whose run is gone must have ended after this long. */
const PATIENCE_MS = 10_000

/** A `retrograd run` of its own process group. */
export class RunningReplay {
  readonly started = Date.now()
  /** The exit status; null when it was killed. */
  readonly exit: Promise<number | null>
  stderr = ''
  ended = false
  private readonly child: ChildProcess

  constructor({ options }: RecordedRun, out: string, workers: number) {
    const args = [MAIN, 'run', ...options, '--out', out, '--workers', String(workers)]
    this.child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'], detached: true })
    this.child.stderr!.on('data', (chunk: Buffer) => {
      this.stderr += chunk.toString()
    })
    this.exit = new Promise((resolve) => {
      this.child.on('exit', (status) => {
        this.ended = true
        resolve(status)
      })
    })
  }

  /** Kills the parent process alone. */
  kill(): void {
    this.child.kill('SIGKILL')
  }

  /** The ids of its worker processes. */
  workers(): number[] {
    return processes().flatMap(({ pid, parent }) => (parent === this.child.pid ? [pid] : []))
  }

  /** Resolves when no process of its group is left. @throws Error where one stays */
  async allGone(): Promise<void> {
    for (const end = Date.now() + PATIENCE_MS; Date.now() < end;) {
      if (livingInGroup(this.child.pid!).length === 0) return
      await sleep(20)
    }
    throw new Error(
      `processes ${livingInGroup(this.child.pid!).join(', ')} outlive the run that they belong to`,
    )
  }
}
