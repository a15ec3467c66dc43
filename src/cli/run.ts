import { setFlagsFromString } from 'node:v8'
import type { ArgumentsCamelCase, Argv } from 'yargs'
import { EXIT } from '../errors.js'
import { printable } from '../printable.js'
import type { Interruption } from '../replay/options.js'
import type { ReplayProgress } from '../replay/progress.js'
import type { RunResult } from '../replay/run.js'
import { takeWorkers } from './early-workers.js'
import { checkpointCommand } from './checkpoint-options.js'
import type { Command } from './commands.js'
import { onInterrupt } from './interrupt.js'
import { progressDisplay } from './progress.js'
import { resumeLine } from './resume-line.js'
import { readRunOptions, RUN_OPTIONS } from './run-options.js'

/**
 * V8 lets the space for new objects grow with the time that a process runs, up to 48 MB, and old objects to several times
 * what is alive of them. A long replay has no use for either: what it makes is garbage at once.
 */
const KEEP_YOUNG_SMALL = '--semi-space-growth-factor=1'
const KEEP_OLD_SMALL = '--heap-growing-percent=20'
/** Before, looking through old objects more often would cost a short replay a twentieth of its time. */
const LONG_MS = 1000

type OptionsOf<B> = B extends Argv<infer A> ? A : never
type RunOptionTypes = OptionsOf<ReturnType<typeof options>>
type RunArguments = ArgumentsCamelCase<RunOptionTypes>

const EXAMPLES: readonly [string, string][] = [
  [
    '$0 run checkpoints/ --model model.onnx --train train.npz --val val.npz --loss cross-entropy --out results',
    'LCA of a classifier, on two data sets',
  ],
  [
    '$0 run checkpoints/ --model model.onnx --train x.npz --loss mse --steps 0:1000:10 --out results',
    'every tenth step',
  ],
  [
    '$0 run weights.h5 --model model.onnx --train train.h5 --val val.h5 --loss cross-entropy --granularity parameter --out results',
    "a file of many saves, with every parameter's LCA in every interval",
  ],
  [
    '$0 run checkpoints/ --model resnet.onnx --train train.npz --loss cross-entropy --batchnorm batch --batch-size 128 --out results',
    'BatchNorm on the statistics of each micro-batch, as in training',
  ],
  [
    "$0 run checkpoints/ --model resnet.onnx --train cifar-10-batches-bin --transform '[0.49,0.48,0.45],[0.25,0.24,0.26]' --loss cross-entropy --out results",
    'inputs normalized as in training, channel by channel',
  ],
  [
    '$0 run checkpoints/ --model gpt.onnx --train train.bin --context 128 --loss cross-entropy --out results',
    'sequences of 128 tokens cut from one long file, each against the next token',
  ],
  [
    '$0 run checkpoints/ --model model.onnx --train train.npz --loss cross-entropy --fisher-samples 1000 --out results',
    "with the empirical Fisher information of every parameter at the run's end, on 1,000 samples",
  ],
  [
    '$0 run checkpoints/ --model with-loss.onnx --train train.npz --loss output:loss --val test=test.npz --out results',
    'a loss that the graph computes; a split with a name of its own',
  ],
  [
    '$0 run checkpoints/ --engine tfjs --train train.npz --loss cross-entropy --out results',
    'checkpoints of TensorFlow.js (model.json at every step), without ONNX',
  ],
]

export const runCommand: Command<RunOptionTypes> = {
  builder: (yargs) => EXAMPLES.reduce((all, [line, what]) => all.example(line, what), options(yargs)),
  handler: async (argv) => {
    process.exitCode = await run(argv)
  },
}

function options(yargs: Argv) {
  return checkpointCommand(yargs, RUN_OPTIONS)
}

async function run(argv: RunArguments): Promise<number> {
  const started = Date.now()
  setFlagsFromString(KEEP_YOUNG_SMALL)
  const thrift = setTimeout(() => {
    setFlagsFromString(KEEP_OLD_SMALL)
  }, LONG_MS)
  const display = progressDisplay(process.stderr)
  const interrupt = onInterrupt(() => {
    display.line('stopping: the finished intervals stay')
  })
  let interruption: Interruption | undefined
  // the engine's processes load while this one still loads and reads
  const workers = takeWorkers(argv)
  try {
    const { runReplay } = await import('../replay/run.js')
    const events = {
      signal: interrupt.signal,
      onNote: (note: string) => {
        display.line(`· ${printable(note)}`)
      },
      onProgress: (progress: ReplayProgress) => {
        display.update(progress)
      },
      onInterrupted: (how: Interruption) => {
        interruption = how
      },
    }
    const result = await runReplay(await readRunOptions(argv), events, workers)
    display.stop()
    if (result === undefined) {
      process.stderr.write(interrupted(argv, interruption))
      return EXIT.interrupted
    }
    const { report } = await import('./report-run.js')
    await report({ out: argv.out, json: argv.json, manifest: result.manifest, started })
    return exitCode(result)
  } finally {
    clearTimeout(thrift)
    workers.stop()
    display.stop()
    interrupt.done()
  }
}

function exitCode({ manifest: { result } }: RunResult): number {
  return result.converged === result.intervals ? EXIT.done : EXIT.notConverged
}

/** What an interrupted run leaves, and the line that goes on with it. */
function interrupted({ out }: RunArguments, how: Interruption | undefined): string {
  if (how === undefined || how.finished === 0)
    return `interrupted before the first interval was finished; ${out} was left as it was\n`
  return (
    `interrupted: ${how.finished} of ${how.intervals} intervals are finished and stay in ${out}; to go on:\n` +
    `  ${resumeLine(process.argv.slice(2))}\n`
  )
}
