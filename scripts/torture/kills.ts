import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Random } from '../../test/support/random.js'
import { assertSame, bitsOf } from './bits.js'
import type { Bits } from './bits.js'
import { randomMoment } from './moments.js'
import { placeOf } from './place.js'
import type { Place } from './place.js'
import { RunningReplay } from './processes.js'
import type { RecordedRun } from './recorded-runs.js'

const MOST_WORKERS = 3

/** What there is to torture: a recorded run, its results when nobody interferes, and how long that takes. */
export interface Victim {
  readonly run: RecordedRun
  readonly expected: Bits
  readonly duration: number
  /** A folder for results. */
  readonly folder: string
}

/** Where kills hit, and how many runs came to their end nevertheless. */
export interface Kills {
  readonly places: Map<Place, number>
  runs: number
}

/** Kills runs with SIGKILL until so many kills have hit, each run going on until it is done. @throws Error where one does not */
export async function killRuns(victim: Victim, kills: number, random: Random): Promise<Kills> {
  const tally: Kills = { places: new Map(), runs: 0 }
  const out = join(victim.folder, 'killed')
  for (let hits = 0; hits < kills;) {
    for (let done = false; !done;) {
      const place = await killOnce(victim, out, hits < kills ? random : undefined)
      done = place === undefined || place === 'after the commit'
      if (place === undefined) continue
      hits += 1
      tally.places.set(place, (tally.places.get(place) ?? 0) + 1)
    }
    assertSame(await bitsOf(out), victim.expected)
    rmSync(out, { recursive: true })
    tally.runs += 1
  }
  return tally
}

/** Starts or goes on with a run and kills it; returns what it was at, undefined when it was done before. */
async function killOnce(
  { run, duration }: Victim,
  out: string,
  random: Random | undefined,
): Promise<Place | undefined> {
  const replay = new RunningReplay(run, out, 1 + Math.floor((random?.next() ?? 0) * MOST_WORKERS))
  if (random !== undefined) await randomMoment(random, duration)(replay, out)
  // half of the time the next run begins while workers of this one may still be there
  const wait = random === undefined || random.next() < 0.5
  if (random !== undefined && !replay.ended) replay.kill()
  const status = await replay.exit
  if (wait) await replay.allGone()
  if (status === null) return placeOf(out, replay.started)
  if (status !== 0) throw new Error(`exit ${status} when going on:\n${replay.stderr}`)
  await replay.allGone()
  return undefined
}
