import type { ArgumentsCamelCase, Argv, CommandModule } from 'yargs'
import { summarize } from '../analysis/summary.js'
import { EXIT } from '../errors.js'
import { runReplay } from '../replay/run.js'
import type { RunResult } from '../replay/run.js'
import { openResults } from '../tables/read.js'
import { checkpointCommand } from './checkpoint-options.js'
import { onInterrupt } from './interrupt.js'
import { formatSeconds, progressDisplay } from './progress.js'
import { readRunOptions, RUN_OPTIONS } from './run-options.js'
import { renderSummary } from './summary.js'
import { colors } from './text.js'

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
    '$0 run checkpoints/ --model with-loss.onnx --train train.npz --loss output:loss --val test=test.npz --out results',
    'a loss that the graph computes; a split with a name of its own',
  ],
]

export const runCommand: CommandModule<object, RunOptionTypes> = {
  command: 'run <checkpoints>',
  describe:
    'Replay recorded checkpoints and allocate every change of the loss to the parameters that caused it',
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
  const display = progressDisplay(process.stderr)
  const interrupt = onInterrupt(() => {
    display.line('stopping: keeping the finished intervals (interrupt again to drop them)')
  })
  try {
    const result = await runReplay(await readRunOptions(argv), {
      signal: interrupt.signal,
      onNote: (note) => {
        display.line(`· ${note}`)
      },
      onProgress: (progress) => {
        display.update(progress)
      },
    })
    display.stop()
    if (result !== undefined) await report(argv, result, formatSeconds((Date.now() - started) / 1000))
    return exitCode(argv, result)
  } finally {
    display.stop()
    interrupt.done()
  }
}

function exitCode({ out }: RunArguments, result: RunResult | undefined): number {
  if (result === undefined) {
    process.stderr.write(`interrupted before the first interval was finished; ${out} was left as it was\n`)
    return EXIT.interrupted
  }
  const { outcome } = result
  if (outcome.interrupted) {
    process.stderr.write(`interrupted: ${out} holds the first ${outcome.intervals} intervals\n`)
    return EXIT.interrupted
  }
  return outcome.converged === outcome.intervals ? EXIT.done : EXIT.notConverged
}

async function report(argv: RunArguments, { manifest, outcome }: RunResult, seconds: string): Promise<void> {
  const results = await openResults(argv.out)
  const summary = summarize(await results.readTable('steps'), await results.readTable('tensors'))
  const { tolerance, out } = argv
  if (argv.json) {
    const facts = {
      out,
      status: manifest.status,
      tolerance,
      result: manifest.result,
      batchnorm: manifest.model.batchnorm ?? null,
      ...summary,
      tables: manifest.tables,
    }
    process.stdout.write(`${JSON.stringify(facts, null, 2)}\n`)
    return
  }
  const facts = { summary, manifest, out, tolerance, noiseFloor: outcome.noiseFloor, seconds }
  process.stdout.write(renderSummary(facts, colors()))
}
