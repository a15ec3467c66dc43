/**
 * Figures of docs/performance.md. What is compared is timed in turn in one run; PYTHON names a Python with torch.
 *
 *     npm run bench [-- CASE ...]                 a whole replay against PyTorch: fc lenet gpt
 *     npm run bench -- workers [CASE ...]         two workers against one
 *     npm run bench -- writing [CASE ...]         what share of a replay writing tables takes
 *     npm run bench -- linear                     1,000 intervals against 10,000: time and memory
 *     npm run bench -- large-replay               a network of 124 million parameters: time and memory
 *     npm run bench -- auto [CASE ...]            gradients that `--quadrature auto` takes, and its error
 *     npm run bench -- gradient [NET ...]         one gradient of a batch against PyTorch: FC LeNet ResNet GPT
 *     npm run bench -- device [NET ...] [--device NAME] [--batch N]
 *                                                 one gradient on every device that is here, against the CPU's numbers
 *                                                 and PyTorch's time there: FC LeNet ResNet GPT
 *     npm run bench -- large [GRAPH ...]          differentiating networks of 20,000 nodes: chain layers fan
 *     npm run bench -- tfjs [NET ...]             one gradient by every backend of TensorFlow.js against ONNX Runtime: FC LeNet
 *     npm run bench -- inspect [ARCHIVE ...]      headers of 1,000 checkpoints of 50 MB: thousand (peer: safetensors)
 */
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { AUTO, benchAuto } from './bench/auto.js'
import { CASES } from './bench/cases.js'
import { benchDevice } from './bench/device.js'
import { benchGradient, NETWORKS } from './bench/gradient.js'
import { ARCHIVES, benchInspect } from './bench/inspect.js'
import { benchLarge, LARGE } from './bench/large.js'
import { benchLargeReplay, LARGE_NETWORKS } from './bench/large-replay.js'
import { benchLinear, LENGTHS } from './bench/linear.js'
import { benchReplay } from './bench/replay.js'
import { benchTfjs, TFJS_NETWORKS } from './bench/tfjs.js'
import { benchWorkers } from './bench/workers.js'
import { benchWriting } from './bench/writing.js'

interface Suite {
  readonly names: readonly string[]
  readonly run: (name: string) => void | Promise<void>
}

const { values, positionals } = parseArgs({
  options: { device: { type: 'string' }, batch: { type: 'string' } },
  allowPositionals: true,
})
const options = {
  ...(values.device !== undefined && { device: values.device }),
  ...(values.batch !== undefined && { batch: Number(values.batch) }),
}

const SUITES: Readonly<Record<string, Suite>> = {
  workers: { names: ['lenet'], run: benchWorkers },
  writing: { names: ['lenet'], run: benchWriting },
  linear: { names: Object.keys(LENGTHS), run: benchLinear },
  'large-replay': { names: Object.keys(LARGE_NETWORKS), run: benchLargeReplay },
  auto: { names: Object.keys(AUTO), run: benchAuto },
  gradient: { names: Object.keys(NETWORKS), run: benchGradient },
  tfjs: { names: Object.keys(TFJS_NETWORKS), run: benchTfjs },
  inspect: { names: Object.keys(ARCHIVES), run: benchInspect },
  device: { names: Object.keys(NETWORKS), run: (name) => benchDevice(name, options) },
  large: { names: Object.keys(LARGE), run: benchLarge },
}

const [first, ...rest] = positionals
const chosen = SUITES[first ?? '']
const { names, run } = chosen ?? { names: Object.keys(CASES), run: benchReplay }
const asked = chosen === undefined ? positionals : rest
console.log(`${cpus()[0]?.model ?? 'unknown processor'}, ${cpus().length} cores`)
for (const name of asked.length > 0 ? asked : names) await run(name)
