import { join } from 'node:path'
import { inFolder } from './cases.js'
import { retrograd } from './process.js'
import { writeSmallRun } from './small-network.js'

/** Trajectories of a small network, by their number of intervals. */
export const LENGTHS: Readonly<Record<string, number>> = { long: 10_000 }

/** Replays a tenth of a trajectory's length and the whole: time should grow with it, memory should not. */
export async function benchLinear(name: string): Promise<void> {
  const intervals = LENGTHS[name]
  if (intervals === undefined) throw new Error(`no case ${name}; cases: ${Object.keys(LENGTHS).join(' ')}`)
  await inFolder(async (work) => {
    const runs = []
    for (const length of [intervals / 10, intervals]) {
      const folder = join(work, String(length))
      writeSmallRun(folder, length)
      const run = [join(folder, 'checkpoints'), '--model', join(folder, 'model.onnx')]
      const how = ['--loss', 'cross-entropy', '--max-splits', '2', '--tolerance', '1']
      runs.push(
        await retrograd([
          ...['run', ...run, '--train', join(folder, 'data'), ...how],
          ...['--out', join(folder, 'out')],
        ]),
      )
    }
    const [short, long] = runs as [(typeof runs)[0], (typeof runs)[0]]
    console.log(
      `${intervals} intervals against ${intervals / 10}: time ${(long.seconds / short.seconds).toFixed(2)} times ` +
        `(${long.seconds.toFixed(1)} and ${short.seconds.toFixed(1)} s; processor time ${long.processorSeconds.toFixed(1)} and ${short.processorSeconds.toFixed(1)} s), ` +
        `peak memory of all processes ${(long.megabytes / short.megabytes).toFixed(2)} times (${long.megabytes.toFixed(0)} and ${short.megabytes.toFixed(0)} MB)`,
    )
  })
}
