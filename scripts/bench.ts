/**
 * Times retrograd against the same work in PyTorch, in turn in one run (PYTHON names a Python with torch):
 *
 *     npm run bench [-- CASE ...]              a whole replay: fc lenet
 *     npm run bench -- gradient [NET ...]      one gradient of a batch: FC LeNet ResNet GPT
 */
import { cpus } from 'node:os'
import { benchGradient, NETWORKS } from './bench/gradient.js'
import { benchReplay, REPLAYS } from './bench/replay.js'

const [first, ...rest] = process.argv.slice(2)
const gradient = first === 'gradient'
const asked = gradient || first === undefined ? rest : [first, ...rest]
const [known, run] = gradient ? [Object.keys(NETWORKS), benchGradient] : [Object.keys(REPLAYS), benchReplay]
console.log(`${cpus()[0]?.model ?? 'unknown processor'}, ${cpus().length} cores`)
for (const name of asked.length > 0 ? asked : known) await run(name)
