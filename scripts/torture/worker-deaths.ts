import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '../../test/support/random.js'
import { assertSame, bitsOf } from './bits.js'
import type { Victim } from './kills.js'
import { RunningReplay } from './processes.js'

const BETWEEN_KILLS_MS = [150, 900] as const
/** A worker that took the place of a dead one is spared until it has done that one's tasks: a second death there is an error. */
const SPARED_MS = 2500
const NOTE = /worker process \d+ was killed by SIGKILL.*a new one does its work again/g

/**
 * Kills worker processes until so many have died; every run must end by itself, say so and have the same results.
 * Returns the number of deaths that runs told of, and of runs.
 */
export async function killWorkers(
  victim: Victim,
  kills: number,
  random: Random,
): Promise<{ deaths: number; runs: number }> {
  const out = join(victim.folder, 'workers')
  let [deaths, runs] = [0, 0]
  while (deaths < kills) {
    const replay = new RunningReplay(victim.run, out, 3)
    const mortal = new Mortals(random)
    let killed = 0
    while (!replay.ended) {
      const [least, most] = BETWEEN_KILLS_MS
      await Promise.race([sleep(least + (most - least) * random.next()), replay.exit])
      killed += mortal.killOne(replay.workers())
    }
    const status = await replay.exit
    const told = replay.stderr.match(NOTE)?.length ?? 0
    if (status !== 0) throw new Error(`exit ${status} after ${killed} workers were killed:\n${replay.stderr}`)
    assertSame(await bitsOf(out), victim.expected)
    if (killed > 1 && told === 0)
      throw new Error(`${killed} workers were killed, and stderr has no word of it`)
    rmSync(out, { recursive: true })
    deaths += told
    runs += 1
  }
  return { deaths, runs }
}

/** Workers of one run, of which those die that have been there for a while. */
class Mortals {
  private readonly seen = new Map<number, number>()

  constructor(private readonly random: Random) {}

  /** Returns how many it killed. */
  killOne(workers: readonly number[]): number {
    const now = Date.now()
    const first = this.seen.size === 0
    for (const worker of workers) if (!this.seen.has(worker)) this.seen.set(worker, first ? 0 : now)
    const mortal = workers.filter((worker) => now - this.seen.get(worker)! > SPARED_MS)
    const worker = mortal[Math.floor(mortal.length * this.random.next())]
    if (worker === undefined) return 0
    try {
      process.kill(worker, 'SIGKILL')
      return 1
    } catch {
      return 0
    }
  }
}
