import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '../../test/support/random.js'
import { assertSame, bitsOf } from './bits.js'
import type { Victim } from './kills.js'
import { RunningReplay } from './processes.js'

/** A process needs most of it to begin to compute. */
const BETWEEN_KILLS_MS = [150, 900] as const
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
    let killed = 0
    while (!replay.ended) {
      const [least, most] = BETWEEN_KILLS_MS
      await Promise.race([sleep(least + (most - least) * random.next()), replay.exit])
      killed += killOne(replay.workers(), random)
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

function killOne(workers: readonly number[], random: Random): number {
  const worker = workers[Math.floor(random.next() * workers.length)]
  if (worker === undefined) return 0
  try {
    process.kill(worker, 'SIGKILL')
    return 1
  } catch {
    return 0
  }
}
