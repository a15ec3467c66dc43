import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { writeArchive } from './archive.js'
import { median, PYTHON } from './common.js'

const ROUNDS = 5

/** Archives of checkpoints of 50 MB each. */
export const ARCHIVES: Readonly<Record<string, number>> = { thousand: 1000 }

const MAIN = fileURLToPath(new URL('../../bin/main.js', import.meta.url))

const MEASURE = `data:text/javascript,process.on('exit',()=>process.stderr.write('rss '+process.resourceUsage().maxRSS))`

/** The same question to the format's own reader: names, shapes and types of all tensors, by headers only. */
const PEER = `
import pathlib, resource, sys
from safetensors import safe_open
for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    with safe_open(path, framework="np") as file:
        for name in file.keys():
            part = file.get_slice(name)
            part.get_shape(), part.get_dtype()
sys.stderr.write("rss %d" % resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
`

/** Whole processes in turn: `retrograd inspect --no-values`, and safetensors in Python where PYTHON has it. */
export function benchInspect(name: string): void {
  const folder = mkdtempSync(join(tmpdir(), 'retrograd-bench-'))
  try {
    const count = ARCHIVES[name] ?? 0
    writeArchive(folder, count)
    const ours: Run[] = []
    const peers: Run[] = []
    for (let round = 0; round < ROUNDS; round += 1) {
      ours.push(run(process.execPath, ['--import', MEASURE, MAIN, 'inspect', folder, '--no-values'])!)
      const peer = run(PYTHON, ['-c', PEER, folder])
      if (peer !== undefined) peers.push(peer)
    }
    console.log(`inspect, ${count} checkpoints of 50 MB: ${figures(ours)}`)
    if (peers.length === 0) return
    const ratio = median(ours.map(({ seconds }, i) => seconds / peers[i]!.seconds))
    console.log(`  safetensors in Python: ${figures(peers)}; ratio of times ${ratio.toFixed(2)}`)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

interface Run {
  readonly seconds: number
  readonly megabytes: number
}

function run(command: string, args: readonly string[]): Run | undefined {
  const started = process.hrtime.bigint()
  const { status, stderr } = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 2 ** 26 })
  const seconds = Number(process.hrtime.bigint() - started) / 1e9
  const rss = /rss (\d+)/.exec(stderr)?.[1]
  if (status === 0 && rss !== undefined) return { seconds, megabytes: Number(rss) / 1024 }
  if (command === PYTHON) return undefined
  throw new Error(`${command} failed: ${stderr}`)
}

function figures(runs: readonly Run[]): string {
  const seconds = median(runs.map((one) => one.seconds))
  const megabytes = median(runs.map((one) => one.megabytes))
  return `${seconds.toFixed(2)} s, peak ${Math.round(megabytes)} MB`
}
