import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '../../test/support/random.js'
import { namesIn } from './place.js'
import type { RunningReplay } from './processes.js'

/** Waits for a moment of a run. */
type Moment = (replay: RunningReplay, out: string) => Promise<void>

/** Most moments are spread evenly over a run's time; what is soon over is waited for, and then some milliseconds more. */
const SHARE_BY_TIME = 0.55
const SHORT_WAIT_MS = 12

/** @param duration of an uninterrupted run, in milliseconds */
export function randomMoment(random: Random, duration: number): Moment {
  const further = SHORT_WAIT_MS * random.next()
  if (random.next() < SHARE_BY_TIME) {
    const delay = duration * random.next()
    return async (replay) => {
      await Promise.race([sleep(delay), replay.exit])
    }
  }
  const [happened] = EVENTS.slice(Math.floor(random.next() * EVENTS.length))
  return async (replay, out) => {
    const partial = join(out, '.partial')
    const before = namesIn(join(partial, 'steps')).length
    while (!replay.ended && !happened!(partial, out, before)) await sleep(1)
    await sleep(further)
  }
}

/** What soon is over: a part is written, Fisher information is measured, totals are written, the commit begins, is under way, is cleared up after. */
const EVENTS: readonly ((partial: string, out: string, partsBefore: number) => boolean)[] = [
  (partial, _out, before) => namesIn(join(partial, 'steps')).length > before,
  (partial) => namesIn(join(partial, 'replay')).some((name) => name.startsWith('fisher-')),
  (partial) => namesIn(join(partial, 'totals')).length > 0,
  (partial) => existsSync(join(partial, 'manifest.json.tmp')) || existsSync(join(partial, 'manifest.json')),
  (_partial, out) => existsSync(join(out, 'steps')),
  (_partial, out) => existsSync(join(out, 'manifest.json')),
]
