import yargs from 'yargs'
import { hideBin } from 'yargs/helpers'
import { EXIT, RetrogradError } from '../errors.js'
import { printable } from '../printable.js'
import { VERSION } from '../version.js'
import { withCommands } from './commands.js'

const parser = withCommands(yargs(hideBin(process.argv)))
  .scriptName('retrograd')
  .usage(
    '$0 <command>\n\nLooks back at a finished training run: replays its checkpoints and allocates every change\n' +
      'of the loss to the parameters that caused it (Loss Change Allocation), into Parquet tables.',
  )
  .demandCommand(1, 'Say what to do: retrograd run CHECKPOINTS ...; retrograd --help lists the commands.')
  .strict()
  .recommendCommands()
  .version(VERSION)
  .help()
  .alias('help', 'h')
  .wrap(Math.min(110, process.stdout.columns || 100))
  .epilogue(
    'Exit codes: 0 done; 1 failed (corrupt file, NaN, bad data); 2 usage; 3 unsupported (operator, format, binding);\n' +
      '4 finished, but some interval did not converge; 130 interrupted.',
  )
  .fail((message: string, error: Error | undefined) => {
    // a YError is a complaint of the parser's own; any other error is a command's
    if (error !== undefined && error.name !== 'YError') throw error
    process.stderr.write(`retrograd: ${printable(oneLine(message))}\n`)
    process.exit(EXIT.usage)
  })

// a reader that has seen enough (`| head`) is no error, and results don't depend on whether notes can be printed
process.stderr.on('error', () => undefined)
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') return
  process.stderr.write(`retrograd: can't write to stdout: ${error.message}\n`)
  process.exitCode = EXIT.failed
})

try {
  await parser.parseAsync()
} catch (error) {
  process.stderr.write(describe(error))
  process.exitCode = error instanceof RetrogradError ? error.exitStatus : EXIT.failed
}

/** The parser's longer complaints are lists over several lines; what it says of missing names, it counts. */
function oneLine(message: string): string {
  if (message.startsWith('Not enough non-option arguments'))
    return 'a file or folder to read is missing; --help says which'
  return message.replace(/\s*\n\s*/g, ' ')
}

/** One line for what a user can act on; anything else is a bug, and its stack helps to report it. */
function describe(error: unknown): string {
  if (error instanceof RetrogradError) return `retrograd: ${printable(error.message)}\n`
  if (isSystemError(error)) return `retrograd: ${printable(error.message)}\n`
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error)
  return `retrograd: internal error, please report it with this text:\n${printable(stack)}\n`
}

/** A file or folder that the operating system refuses. */
function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error && 'path' in error && typeof error.path === 'string'
}
