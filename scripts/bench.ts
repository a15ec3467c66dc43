/**
 * Times retrograd against the same work in PyTorch, in turn in one run (PYTHON names a Python with torch):
 *
 *     npm run bench [-- CASE ...]              a whole replay: fc lenet
 *     npm run bench -- gradient [NET ...]      one gradient of a batch: FC LeNet ResNet GPT
 *     npm run bench -- large [GRAPH ...]       differentiating networks of 20,000 nodes: chain layers fan (no peer)
 *     npm run bench -- inspect [ARCHIVE ...]   headers of 1,000 checkpoints of 50 MB: thousand (peer: safetensors)
 */
import { cpus } from 'node:os'
import { benchGradient, NETWORKS } from './bench/gradient.js'
import { ARCHIVES, benchInspect } from './bench/inspect.js'
import { benchLarge, LARGE } from './bench/large.js'
import { benchReplay, REPLAYS } from './bench/replay.js'

interface Suite {
  readonly names: readonly string[]
  readonly run: (name: string) => void | Promise<void>
}

const SUITES: Readonly<Record<string, Suite>> = {
  gradient: { names: Object.keys(NETWORKS), run: benchGradient },
  inspect: { names: Object.keys(ARCHIVES), run: benchInspect },
  large: { names: Object.keys(LARGE), run: benchLarge },
}

const [first, ...rest] = process.argv.slice(2)
const chosen = SUITES[first ?? '']
const { names, run } = chosen ?? { names: Object.keys(REPLAYS), run: benchReplay }
const asked = chosen === undefined ? process.argv.slice(2) : rest
console.log(`${cpus()[0]?.model ?? 'unknown processor'}, ${cpus().length} cores`)
for (const name of asked.length > 0 ? asked : names) await run(name)
