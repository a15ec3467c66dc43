import type { ArgumentsCamelCase, Argv, Options } from 'yargs'
import { DEVICE_CHOICES, ENGINES } from '../engines/devices/names.js'
import { EXIT, UsageError } from '../errors.js'
import { printable } from '../printable.js'
import type { VerifyOptions } from '../verify/model.js'
import type { Command } from './commands.js'
import { onInterrupt } from './interrupt.js'
import { progressDisplay } from './progress.js'
import { ONE_RUN, oneRunCommand } from './results-argument.js'
import { byteCount, wholeNumber } from './run-options.js'
import { colors } from './text.js'
import { renderVerification } from './verification.js'

const OPTIONS = {
  run: ONE_RUN.run,
  intervals: {
    type: 'string',
    describe:
      'How many intervals [6: those of the largest residual and LCA, others at random]; or which: 3,17,40:44 (44 left out), or all',
  },
  seed: { type: 'number', default: 0, describe: 'Of the choice among intervals' },
  tolerance: {
    type: 'number',
    describe: "Largest distance of an interval that agrees, in units of the loss [the run's own]",
  },
  'max-splits': { type: 'number', describe: 'Most parts an interval is cut into (a power of 2) [64]' },
  engine: {
    choices: ENGINES,
    describe: 'What computes [as the run]; another needs its form of the network: --model',
  },
  device: {
    choices: DEVICE_CHOICES,
    describe: "Where it computes [another than the run's, if there is one]",
  },
  'device-memory': {
    type: 'string',
    describe: "Use no more of the device's memory: 8GB, 500MB [what is free]",
  },
  checkpoints: { type: 'string', describe: 'Where the checkpoints are now [where the run found them]' },
  model: { type: 'string', describe: 'Where the network is now' },
  train: { type: 'string', describe: 'Where the first data set is now' },
  val: {
    type: 'string',
    array: true,
    nargs: 1,
    default: [] as string[],
    describe: 'Where further data sets are now, FILE (of val) or NAME=FILE (repeatable)',
  },
  loss: { type: 'string', describe: 'Where the loss is now, if it is an ONNX file' },
  map: { type: 'string', describe: 'Where the map of names is now' },
  workers: { type: 'number', describe: 'Worker processes [as many as cores and memory allow]' },
  threads: { type: 'number', describe: "Threads of each worker's engine [1; for large networks all cores]" },
  json: { type: 'boolean', default: false, describe: 'Print what was found as JSON' },
} as const satisfies Record<string, Options>

type OptionsOf<B> = B extends Argv<infer A> ? A : never
type VerifyArguments = ArgumentsCamelCase<OptionsOf<ReturnType<typeof options>>>

function options(yargs: Argv) {
  return oneRunCommand(yargs, OPTIONS)
}

const EXAMPLES: readonly [string, string][] = [
  ['$0 verify results', 'six intervals, on another device if there is one, in finer parts'],
  ['$0 verify results --intervals all --device cpu', 'all of a run that was computed on a GPU'],
  ['$0 verify results --intervals 12,28 --tolerance 1e-5', 'two intervals, more strictly'],
  [
    '$0 verify results --checkpoints old/run7 --model old/model.onnx --train old/train.npz',
    'where files were moved',
  ],
  [
    '$0 verify results --engine onnxruntime --model model.onnx',
    'what TensorFlow.js computed, by ONNX Runtime on the same network',
  ],
]

export const verifyCommand: Command<OptionsOf<ReturnType<typeof options>>> = {
  builder: (yargs) =>
    EXAMPLES.reduce((all, [line, what]) => all.example(line, what), options(yargs)).epilogue(
      'Files are checked by the hashes in the manifest. Nothing in the results changes; arrays lie in a temporary folder ' +
        '(TMPDIR). docs/verify.md says what the verdicts mean. ' +
        'Exit codes: 4 some interval is farther off than the tolerance; the others as retrograd --help says.',
    ),
  handler: async (argv) => {
    process.exitCode = await verify(argv)
  },
}

async function verify(argv: VerifyArguments): Promise<number> {
  const wanted = readOptions(argv)
  const display = progressDisplay(process.stderr)
  const interrupt = onInterrupt(() => {
    display.line('stopping')
  })
  try {
    const { verifyResults } = await import('../verify/verify.js')
    const found = await verifyResults(argv.results, wanted, {
      signal: interrupt.signal,
      onNote: (note) => {
        display.line(`· ${printable(note)}`)
      },
      onProgress: ({ done, intervals }) => {
        display.update({ phase: 'verifying', done, intervals, loss: NaN, residual: NaN })
      },
    })
    display.stop()
    if (found === undefined) {
      process.stderr.write('interrupted: nothing was verified, and nothing changed\n')
      return EXIT.interrupted
    }
    process.stdout.write(
      argv.json ? `${JSON.stringify(found, null, 2)}\n` : renderVerification(found, colors()),
    )
    return found.verdict === 'agrees' ? EXIT.done : EXIT.notConverged
  } finally {
    display.stop()
    interrupt.done()
  }
}

function readOptions(argv: VerifyArguments): VerifyOptions {
  const { run, intervals, tolerance, maxSplits, engine, device, deviceMemory, workers, threads } = argv
  const { checkpoints, model, map, loss } = argv
  const given = { run, tolerance, maxSplits, engine, device, checkpoints, model, map, loss }
  return {
    ...(Object.fromEntries(
      Object.entries(given).filter(([, value]) => value !== undefined),
    ) as VerifyOptions),
    seed: argv.seed,
    splits: splitsNow(argv),
    ...(intervals !== undefined && { intervals: readIntervals(intervals) }),
    ...(deviceMemory !== undefined && { deviceMemory: byteCount('--device-memory', deviceMemory) }),
    ...(workers !== undefined && { workers: wholeNumber('--workers', workers) }),
    ...(threads !== undefined && { threads: wholeNumber('--threads', threads) }),
  }
}

/** As `run` names data sets: the first is train, the second val. */
function splitsNow({ train, val }: VerifyArguments): Map<string, string> {
  const splits = new Map(train === undefined ? [] : [['train', train]])
  for (const entry of val) {
    const [, name = 'val', file = entry] = /^([\w.-]+)=(.+)$/.exec(entry) ?? []
    if (splits.has(name)) throw new UsageError(`--val ${entry}: there is one named '${name}' already`)
    splits.set(name, file)
  }
  return splits
}

/** Intervals that one range may name. */
const LONGEST_RANGE = 1e6

/** `8` is a number of intervals, `all` all of them, `3,17,40:44` these. Throws UsageError for anything else. */
export function readIntervals(text: string): NonNullable<VerifyOptions['intervals']> {
  if (text === 'all') return 'all'
  if (/^\d+$/.test(text)) return wholeNumber('--intervals', Number(text))
  return text.split(',').flatMap((part) => {
    const [, from, to] = /^(\d+)(?::(\d+))?$/.exec(part) ?? []
    const [first, end] = [Number(from), to === undefined ? Number(from) + 1 : Number(to)]
    if (from === undefined || end <= first || end - first > LONGEST_RANGE)
      throw new UsageError(
        `--intervals ${text}: a number of intervals is needed, or which: 3,17,40:44 (44 left out), or all; 7:8 is interval 7 alone`,
      )
    return Array.from({ length: end - first }, (_, i) => first + i)
  })
}
