import { fork, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'

import type { Job, Outcome } from './child.js'

/** A child that is silent for so long hangs. */
const HANG = 20_000

const CHILD = fileURLToPath(new URL('child.js', import.meta.url))

/** A process that reads damaged files, so that one that crashes or hangs it is a finding and not the end. */
export class Reader {
  private child: ChildProcess | undefined

  /** The outcome of a job; `undefined` where the process died or hung, after which a new one is started. */
  async run(job: Job): Promise<Outcome | undefined> {
    const child = (this.child ??= fork(CHILD, {
      execArgv: ['--expose-gc', '--enable-source-maps'],
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    }))
    const outcome = await new Promise<Outcome | undefined>((resolve) => {
      const done = (answer: Outcome | undefined): void => {
        clearTimeout(timer)
        child.removeAllListeners()
        resolve(answer)
      }
      const timer = setTimeout(done, HANG, undefined)
      child.once('message', done)
      child.once('exit', () => {
        done(undefined)
      })
      child.send(job)
    })
    if (outcome === undefined) this.kill()
    return outcome
  }

  /** Lets the process end, which then removes its copies. */
  close(): void {
    this.child?.disconnect()
    this.child = undefined
  }

  private kill(): void {
    this.child?.kill('SIGKILL')
    this.child = undefined
  }
}
