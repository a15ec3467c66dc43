import { lstat, rename, rm, writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { ArgumentsCamelCase, Argv, Options } from 'yargs'
import { lossChoices, lossName } from '../autodiff/losses.js'
import type { LossSpec } from '../autodiff/losses.js'
import { standaloneGradient } from '../autodiff/standalone.js'
import type { StandaloneGradient } from '../autodiff/standalone.js'
import { EXIT, reasonOf, UsageError } from '../errors.js'
import { opsetOf } from '../onnx/graph.js'
import { readModel } from '../onnx/read.js'
import { encodeModel } from '../onnx/write.js'
import type { FileFacts } from '../onnx/write.js'
import { printable } from '../printable.js'
import { VERSION } from '../version.js'
import { checkOptions } from './check-options.js'
import type { Command } from './commands.js'
import { gradientFacts, renderGradient } from './gradient-summary.js'
import { LOSS_OPTIONS, readLoss } from './loss-options.js'

type OptionsOf<B> = B extends Argv<infer A> ? A : never
type GradientOptionTypes = OptionsOf<ReturnType<typeof options>>
type GradientArguments = ArgumentsCamelCase<GradientOptionTypes>

const EXAMPLES: readonly [string, string][] = [
  ['$0 gradient model.onnx --loss cross-entropy --out grad.onnx', 'loss and gradient of every weight'],
  [
    "$0 gradient model.onnx --loss mse --parameters 'head.*' --out grad.onnx",
    'of some weights; the others stay constant, in the file',
  ],
  [
    '$0 gradient segmentation.onnx --loss cross-entropy --class-axis 1 --ignore-index 255 --out grad.onnx',
    'labels batch x height x width, of which 255 does not count',
  ],
  ['$0 gradient model.onnx --loss my-loss.onnx --out grad.onnx', 'a loss of your own, as ONNX'],
]

export const gradientCommand: Command<GradientOptionTypes> = {
  builder: (yargs) =>
    EXAMPLES.reduce((all, [line, what]) => all.example(line, what), options(yargs)).epilogue(
      'Inputs of the file: those of the network, target, and every parameter under its name. Outputs: loss (the mean ' +
        "over the batch, as PyTorch's reduction='mean'), losses (each sample's own mean) and gradient/NAME, the gradient " +
        'of loss, for every parameter. Exit codes: retrograd --help.',
    ),
  handler: async (argv) => {
    process.exitCode = await gradient(argv)
  },
}

const OPTIONS = {
  ...LOSS_OPTIONS,
  out: { type: 'string', demandOption: true, describe: 'The ONNX file to write' },
  parameters: {
    type: 'string',
    array: true,
    nargs: 1,
    default: [] as string[],
    describe: 'Weights to differentiate by: NAME with * and ? (repeatable) [all that move the loss]',
  },
  batchnorm: {
    choices: ['running', 'batch'] as const,
    default: 'running' as const,
    describe: "BatchNorm's statistics: the network's running ones, or those of the batch",
  },
  forms: {
    choices: ['cpu', 'cuda', 'webgpu'] as const,
    default: 'cpu' as const,
    describe: 'Operators for this execution provider of ONNX Runtime',
  },
  overwrite: { type: 'boolean', default: false, describe: 'Replace the file that --out names' },
  json: { type: 'boolean', default: false, describe: 'Print the summary as JSON' },
} as const satisfies Record<string, Options>

function options(yargs: Argv) {
  return yargs
    .positional('model', {
      type: 'string',
      demandOption: true,
      describe: 'The network as ONNX, weights under their own names',
    })
    .options(OPTIONS)
    .middleware(checkOptions({ ...OPTIONS, model: {} }), true)
}

async function gradient(argv: GradientArguments): Promise<number> {
  await assertFree(argv)
  const loss = await readLoss(argv)
  const { batchnorm, forms, parameters } = argv
  const built = standaloneGradient(await readModel(argv.model), {
    loss,
    batchNorm: batchnorm,
    forms,
    ...(parameters.length > 0 && { parameters }),
  })
  for (const note of built.notes) process.stderr.write(`· ${printable(note)}\n`)
  const bytes = encodeModel(built.graph, fileFacts(argv, loss, built))
  await write(argv.out, bytes)
  const facts = gradientFacts(argv, loss, built, bytes.length)
  process.stdout.write(argv.json ? `${JSON.stringify(facts, null, 2)}\n` : renderGradient(facts))
  return EXIT.done
}

async function assertFree({ out, model, loss, overwrite }: GradientArguments): Promise<void> {
  if ([model, loss].some((input) => resolve(input) === resolve(out)))
    throw new UsageError(`--out ${out}: that is a file to be read; name another`)
  const found = await lstat(out).catch(() => undefined)
  if (found === undefined) return
  if (!found.isFile()) throw new UsageError(`--out ${out}: that is no file; name an ONNX file to write`)
  if (!overwrite) throw new UsageError(`--out ${out}: the file exists; name another, or give --overwrite`)
}

function fileFacts(argv: GradientArguments, loss: LossSpec, built: StandaloneGradient): FileFacts {
  const { batchnorm, forms, model } = argv
  return {
    producerVersion: VERSION,
    description:
      `Loss (${lossName(loss)}) of ${model} and its gradient. Feed the network's inputs, the target and every parameter; ` +
      `take 'loss' (mean over the batch), 'losses' (per sample) and 'gradient/NAME'.`,
    metadata: new Map([
      ['retrograd.loss', lossName(loss)],
      ['retrograd.loss_options', JSON.stringify(lossChoices(loss))],
      ['retrograd.parameters', JSON.stringify(built.parameters.map(({ name }) => name))],
      ['retrograd.batchnorm', batchnorm],
      ['retrograd.forms', forms],
      ['retrograd.opset', String(opsetOf(built.graph))],
    ]),
  }
}

/** Whole or not at all: written under another name first. */
async function write(path: string, bytes: Uint8Array): Promise<void> {
  const partial = `${path}.partial`
  try {
    await writeFile(partial, bytes)
    await rename(partial, path)
  } catch (error) {
    await rm(partial, { force: true })
    throw new UsageError(`--out ${path}: can't be written: ${reasonOf(error)}`)
  }
}
