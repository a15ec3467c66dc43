/**
 * Damages the files of fixtures/ in seeded ways and reads them: each must end in a typed error or a sound read, within
 * a second and 256 MB above the file's size.
 *
 *     npm run fuzz -- [--count 10000] [--seed 1] [--only ID] [--case SEED/NUMBER]
 *
 * A case that fails is printed with its number; `--case` gives the same damage again and says what comes of it. `--only`
 * takes those of the `count` cases that fall on one fixture. Exit 1 when one fails.
 */
import { parseArgs } from 'node:util'

import { isChecksummed } from './fuzz/checksums.js'
import type { Job, Outcome } from './fuzz/child.js'
import { MUTATION_NAMES } from './fuzz/mutate.js'
import { Reader } from './fuzz/reader.js'
import { findSeeds } from './fuzz/seeds.js'
import { Tally } from './fuzz/tally.js'
import { Random } from '../test/support/random.js'

const LIMITS = { milliseconds: 1000, megabytes: 256 } as const

/** How often a case that seems slow or large is tried. */
const TRIES = 3

/** Processes that read at a time. */
const READERS = 2

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '10000' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string' },
    case: { type: 'string' },
  },
})
const seeds = findSeeds()
const tally = new Tally()
let failures = 0

const jobs = casesAskedFor()
if (jobs.length === 0) throw new Error(`no case for --only ${values.only ?? ''}: ids are paths in fixtures/`)
const queue = jobs.values()
await Promise.all(Array.from({ length: READERS }, work))
for (const line of tally.report()) console.log(line)
console.log(`${jobs.length} damaged files (seed ${values.seed}), ${failures} failed`)
process.exitCode = failures === 0 ? 0 : 1

function casesAskedFor(): Job[] {
  if (values.case !== undefined) return [jobOf(values.case)]
  return Array.from({ length: Number(values.count) }, (_, i) => jobOf(`${values.seed}/${i}`)).filter(
    ({ seed }) => values.only === undefined || seed.id === values.only,
  )
}

/** What a case does follows from its number and the fixtures: cases fall on these in turn. */
function jobOf(number: string): Job {
  const random = new Random(number)
  const seed = seeds[Number(number.split('/')[1]) % seeds.length]!
  const file = seed.files[Math.floor(random.next() * seed.files.length)]!
  const mutation = MUTATION_NAMES[Math.floor(random.next() * MUTATION_NAMES.length)]!
  return { seed, file, mutation, number }
}

async function work(): Promise<void> {
  const reader = new Reader()
  for (const job of queue) await tryOne(job, reader)
  reader.close()
}

async function tryOne(job: Job, reader: Reader): Promise<void> {
  const { seed, file, mutation, number } = job
  let outcome = await reader.run(job)
  // other processes may have had the processor: what is slow or large is so every time
  for (
    let again = 1;
    again < TRIES && outcome !== undefined && faultOf(job, outcome) !== undefined;
    again += 1
  )
    outcome = await reader.run(job)
  const fault = faultOf(job, outcome)
  tally.count(seed.id, outcome)
  if (values.case !== undefined) console.log(outcome)
  if (fault === undefined) return
  failures += 1
  console.log(`FAILED ${seed.id}: ${file}, ${mutation}, case ${number}: ${fault}`)
}

function faultOf({ seed, file }: Job, outcome: Outcome | undefined): string | undefined {
  if (outcome === undefined) return 'the process died or hung'
  const { result, message, milliseconds, megabytes, fileBytes } = outcome
  if (result === 'untyped error') return `untyped error: ${message}`
  if (milliseconds > LIMITS.milliseconds) return `${Math.round(milliseconds)} ms: ${message || result}`
  if (megabytes > LIMITS.megabytes + fileBytes / 2 ** 20)
    return `${Math.round(megabytes)} MB: ${message || result}`
  return result === 'other numbers' && isChecksummed(seed, file)
    ? 'other numbers in spite of checksums'
    : undefined
}
