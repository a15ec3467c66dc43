import { fileURLToPath } from 'node:url'
import { caseOf, replayArguments, withData } from './cases.js'
import { median } from './common.js'
import { measure } from './process.js'

const ROUNDS = 5
const SCRIPT = fileURLToPath(new URL('./writing-run.js', import.meta.url))

interface Clocks {
  readonly writing: number
  readonly seconds: number
}

/**
 * What share of a run forming rows and writing tables takes, put on the disk and moved into place, at each granularity:
 * clocks in one and the same process tell both times, so that the share holds on a busy machine too.
 */
export async function benchWriting(name: string): Promise<void> {
  const one = caseOf(name)
  await withData(one, async (work) => {
    for (const granularity of ['tensor', 'unit', 'parameter']) {
      const runs: Clocks[] = []
      for (let round = 0; round < ROUNDS; round += 1) {
        const args = [...replayArguments(one, work), '--granularity', granularity]
        const { stdout } = await measure(process.execPath, [SCRIPT, ...args])
        runs.push(JSON.parse(stdout.trimEnd().split('\n').at(-1)!) as Clocks)
      }
      const share = median(runs.map(({ writing, seconds }) => writing / seconds))
      const [writing, seconds] = (['writing', 'seconds'] as const).map((key) =>
        median(runs.map((run) => run[key])),
      )
      console.log(
        `${name} at granularity ${granularity}: median of ${ROUNDS}, writing takes ${(100 * share).toFixed(1)} % of the run ` +
          `(${writing!.toFixed(2)} s of ${seconds!.toFixed(2)} s)`,
      )
    }
  })
}
