import { caseOf, replayArguments, withData } from './cases.js'
import { median } from './common.js'
import { retrograd } from './process.js'

const ROUNDS = 5

/** Times a whole replay with one worker in turn with two, one thread each; prints the ratio of the medians. */
export async function benchWorkers(name: string): Promise<void> {
  const one = caseOf(name)
  await withData(one, async (work) => {
    const times: [number[], number[]] = [[], []]
    for (let round = 0; round < ROUNDS; round += 1)
      for (const [i, workers] of ['1', '2'].entries()) {
        const args = [...replayArguments(one, work), '--workers', workers, '--threads', '1']
        times[i]!.push((await retrograd(args)).seconds)
      }
    const [single, double] = times.map(median) as [number, number]
    console.log(
      `${name}: median of ${ROUNDS}, two workers take ${(double / single).toFixed(2)} of the time of one ` +
        `(${double.toFixed(2)} s and ${single.toFixed(2)} s; shortest ${Math.min(...times[1]).toFixed(2)} and ${Math.min(...times[0]).toFixed(2)} s)`,
    )
  })
}
