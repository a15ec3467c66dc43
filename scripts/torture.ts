/**
 * Kills runs, kills their workers, or fills the disk under them, in seeded ways, and lets the same command go on each
 * time: the tables must hold the same rows in the same order with the same bits as those of a run that nobody disturbed,
 * made with another number of workers. Linux only.
 *
 *     npm run torture -- [--kills 50] [--seed 1] [--worker | --disk] [--only lenet | linear]
 *
 * By default whole runs are killed with SIGKILL, their workers left to themselves; `--worker` kills workers; `--disk`
 * lays the results on small file systems, which needs the right to mount them. Kills are shared between two recorded
 * runs. Exit 1 when a run does not come to its end or its results differ.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Random } from '../test/support/random.js'
import { bitsOf } from './torture/bits.js'
import { fillDisks, whyNoDisk } from './torture/full-disk.js'
import { killRuns } from './torture/kills.js'
import type { Victim } from './torture/kills.js'
import { PLACES } from './torture/place.js'
import { RunningReplay } from './torture/processes.js'
import { LENET_RUN, writeTinyRun } from './torture/recorded-runs.js'
import type { RecordedRun } from './torture/recorded-runs.js'
import { killWorkers } from './torture/worker-deaths.js'

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '50' },
    seed: { type: 'string', default: '1' },
    worker: { type: 'boolean', default: false },
    disk: { type: 'boolean', default: false },
    only: { type: 'string', default: '' },
  },
})

const work = mkdtempSync(join(tmpdir(), 'retrograd-torture-'))
try {
  const why = values.disk ? whyNoDisk(work) : undefined
  if (why !== undefined) console.log(`skipped: no file system can be mounted here (${why})`)
  else await torture()
} finally {
  rmSync(work, { recursive: true, force: true })
}

async function torture(): Promise<void> {
  const runs = [LENET_RUN, writeTinyRun(join(work, 'linear'))].filter(({ name }) =>
    name.startsWith(values.only),
  )
  for (const [i, run] of runs.entries()) {
    const share =
      Math.floor(((i + 1) * Number(values.kills)) / runs.length) -
      Math.floor((i * Number(values.kills)) / runs.length)
    if (share === 0) continue
    const victim = await undisturbed(run)
    console.log(`${run.name}: ${await tortured(victim, share, new Random(`${values.seed} ${run.name}`))}`)
  }
}

async function undisturbed(run: RecordedRun): Promise<Victim> {
  const out = join(work, 'undisturbed')
  const replay = new RunningReplay(run, out, 2)
  const status = await replay.exit
  if (status !== 0) throw new Error(`${run.name} ends with exit ${status}:\n${replay.stderr}`)
  const duration = Date.now() - replay.started
  const expected = await bitsOf(out)
  rmSync(out, { recursive: true })
  return { run, expected, duration, folder: work }
}

async function tortured(victim: Victim, count: number, random: Random): Promise<string> {
  if (values.worker) {
    const { deaths, runs } = await killWorkers(victim, count, random)
    return `${deaths} workers killed in ${runs} runs, same bits`
  }
  if (values.disk) {
    const { files, runs } = await fillDisks(victim, count, random)
    return `the disk was full ${listed([...files])} in ${runs} runs, same bits`
  }
  const { places, runs } = await killRuns(victim, count, random)
  return `killed ${listed(PLACES.flatMap((place) => (places.has(place) ? [[place, places.get(place)!]] : [])))} in ${runs} runs, same bits`
}

function listed(counts: readonly (readonly [string, number])[]): string {
  const total = counts.reduce((sum, [, count]) => sum + count, 0)
  return `${total} times (${counts.map(([what, count]) => `${what} ${count}`).join(', ')})`
}
