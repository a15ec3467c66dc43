import { fileURLToPath } from 'node:url'
import { caseOf, replayArguments, withData } from './cases.js'
import { median } from './common.js'
import { measure } from './process.js'

const ROUNDS = 5
const SCRIPT = fileURLToPath(new URL('./writing-run.js', import.meta.url))

interface Clocks {
  readonly writing: number
  readonly processor: number
  readonly seconds: number
  /** Processor time of all processes. */
  readonly processorSeconds: number
}

/**
 * What share of a run forming rows and writing tables takes, put on the disk and moved into place, at each granularity:
 * clocks in one and the same process tell both times, so that the share holds on a busy machine too. By the clock the time
 * counts in which workers had the core instead; of processor time it is what writing takes from the rest.
 */
export async function benchWriting(name: string): Promise<void> {
  const one = caseOf(name)
  await withData(one, async (work) => {
    for (const granularity of ['tensor', 'unit', 'parameter']) {
      const runs: Clocks[] = []
      for (let round = 0; round < ROUNDS; round += 1) {
        const args = [...replayArguments(one, work), '--granularity', granularity]
        const { stdout, processorSeconds } = await measure(process.execPath, [SCRIPT, ...args])
        runs.push({ ...(JSON.parse(stdout.trimEnd().split('\n').at(-1)!) as Clocks), processorSeconds })
      }
      console.log(
        `${name} at granularity ${granularity}: median of ${ROUNDS}, writing takes ${share(runs, 'writing', 'seconds')} of the run, ` +
          `${share(runs, 'processor', 'processorSeconds')} of its processor time`,
      )
    }
  })
}

function share(runs: readonly Clocks[], part: keyof Clocks, whole: keyof Clocks): string {
  const percent = 100 * median(runs.map((run) => run[part] / run[whole]))
  const [some, all] = [part, whole].map((key) => median(runs.map((run) => run[key])).toFixed(2))
  return `${percent.toFixed(1)} % (${some!} s of ${all!} s)`
}
