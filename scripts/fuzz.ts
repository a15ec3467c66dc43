/**
 * Damages the files of fixtures/ in seeded ways and reads them: each must end in a typed error or a sound read, within
 * a second and 256 MB above the file's size.
 *
 *     npm run fuzz -- [--count 10000] [--seed 1] [--only ID]
 *
 * A case that fails is printed with its number, which gives the same damage again. Exit 1 when one does.
 */
import { fork, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

import type { Job, Outcome } from './fuzz/child.js'
import { MUTATION_NAMES } from './fuzz/mutate.js'
import { findSeeds, type Seed } from './fuzz/seeds.js'
import { Random } from '../test/support/random.js'

const LIMITS = { milliseconds: 1000, megabytes: 256 } as const

/** A child that is silent for so long hangs. */
const HANG = 20_000

/** Where every byte of the numbers has a checksum: a sound read must give the numbers of the sound file. */
const CHECKSUMMED = /^(?:npz|tf-|keras-manager|keras-checkpoint|tf1-saver)/

const CHILD = fileURLToPath(new URL('fuzz/child.js', import.meta.url))

class Reader {
  private child: ChildProcess | undefined

  /** The outcome of a job; `undefined` where the process died or hung, which starts a new one. */
  async run(job: Job): Promise<Outcome | undefined> {
    const child = (this.child ??= fork(CHILD, { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] }))
    const outcome = await new Promise<Outcome | undefined>((resolve) => {
      const timer = setTimeout(() => {
        resolve(undefined)
      }, HANG)
      const done = (answer: Outcome | undefined): void => {
        clearTimeout(timer)
        child.removeAllListeners()
        resolve(answer)
      }
      child.once('message', (message: Outcome) => {
        done(message)
      })
      child.once('exit', () => {
        done(undefined)
      })
      child.send(job)
    })
    if (outcome === undefined) this.close()
    return outcome
  }

  close(): void {
    this.child?.kill('SIGKILL')
    this.child = undefined
  }
}

interface Tally {
  readonly counts: Map<string, number>
  slowest: number
  largest: number
}

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '10000' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string' },
  },
})
const seeds = findSeeds().filter(({ id }) => values.only === undefined || id === values.only)
if (seeds.length === 0) throw new Error(`--only ${values.only ?? ''}: no such fixture`)

const reader = new Reader()
const tallies = new Map<string, Tally>()
let failures = 0
for (const seed of seeds) await reader.run({ seed })
for (let i = 0; i < Number(values.count); i += 1)
  await tryOne(seeds[i % seeds.length]!, `${values.seed}/${i}`)
reader.close()
report()
process.exitCode = failures === 0 ? 0 : 1

async function tryOne(seed: Seed, number: string): Promise<void> {
  const random = new Random(number)
  const file = seed.files[Math.floor(random.next() * seed.files.length)]!
  const mutation = MUTATION_NAMES[Math.floor(random.next() * MUTATION_NAMES.length)]!
  const job: Job = { seed, damage: { file, mutation, number } }
  let outcome = await reader.run(job)
  let fault = faultOf(seed, outcome)
  // another process may have had the processor: what is slow or large is so twice
  if (fault !== undefined && outcome !== undefined) {
    outcome = await reader.run(job)
    fault = faultOf(seed, outcome)
  }
  count(seed, outcome)
  if (fault === undefined) return
  failures += 1
  console.log(`FAILED ${seed.id} ${file}, ${mutation}, case ${number}: ${fault}`)
}

function faultOf(seed: Seed, outcome: Outcome | undefined): string | undefined {
  if (outcome === undefined) return 'the process died or hung'
  const { result, message, milliseconds, megabytes, fileBytes } = outcome
  if (result === 'untyped error') return `untyped error: ${message}`
  if (milliseconds > LIMITS.milliseconds) return `${Math.round(milliseconds)} ms`
  if (megabytes > LIMITS.megabytes + fileBytes / 2 ** 20) return `${Math.round(megabytes)} MB`
  return result === 'other numbers' && CHECKSUMMED.test(seed.id)
    ? 'other numbers in spite of checksums'
    : undefined
}

function count(seed: Seed, outcome: Outcome | undefined): void {
  const tally = tallies.get(seed.id) ?? { counts: new Map<string, number>(), slowest: 0, largest: 0 }
  tallies.set(seed.id, tally)
  const result = outcome?.result ?? 'died or hung'
  tally.counts.set(result, (tally.counts.get(result) ?? 0) + 1)
  tally.slowest = Math.max(tally.slowest, outcome?.milliseconds ?? 0)
  tally.largest = Math.max(tally.largest, outcome?.megabytes ?? 0)
}

function report(): void {
  const total = new Map<string, number>()
  for (const [id, { counts, slowest, largest }] of tallies) {
    for (const [result, count] of counts) total.set(result, (total.get(result) ?? 0) + count)
    const parts = [...counts].map(([result, count]) => `${count} ${result}`).join(', ')
    console.log(`${id}: ${parts}; slowest ${Math.round(slowest)} ms, most memory ${Math.round(largest)} MB`)
  }
  const parts = [...total].map(([result, count]) => `${count} ${result}`).join(', ')
  console.log(`${values.count} damaged files (seed ${values.seed}): ${parts}; ${failures} failed`)
}
