import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { median } from './common.js'

const ROUNDS = 5

/** Networks of 20,000 nodes, made, differentiated and encoded by a process of its own. */
export const LARGE: Readonly<Record<string, string>> = {
  chain: 'one weight read all along a chain',
  layers: '5,001 weights',
  fan: 'one value read 10,000 times',
}

const script = fileURLToPath(new URL('../../test/support/large-graphs.js', import.meta.url))

/** Prints its own peak memory when it ends; loaded before the script. */
const MEASURE = `data:text/javascript,process.on('exit',()=>process.stderr.write('rss '+process.resourceUsage().maxRSS))`

/** Time and peak memory of the whole process, the median of five. */
export function benchLarge(name: string): void {
  const runs = Array.from({ length: ROUNDS }, () => {
    const started = process.hrtime.bigint()
    const run = spawnSync(process.execPath, ['--import', MEASURE, script, name], { encoding: 'utf8' })
    const seconds = Number(process.hrtime.bigint() - started) / 1e9
    if (run.status !== 0) throw new Error(`${name} failed: ${run.stderr}`)
    return { seconds, megabytes: Number(/rss (\d+)/.exec(run.stderr)![1]) / 1024 }
  })
  const [seconds, megabytes] = [
    median(runs.map((run) => run.seconds)),
    median(runs.map((run) => run.megabytes)),
  ]
  console.log(`${name} (${LARGE[name] ?? ''}): ${seconds.toFixed(1)} s, peak ${Math.round(megabytes)} MB`)
}
