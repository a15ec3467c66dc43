import type { Argv, Options } from 'yargs'
import { EXIT } from '../errors.js'
import type { Command } from './commands.js'
import { doctorFacts } from './doctor/facts.js'
import { renderDoctor } from './doctor/render.js'
import { countDisplay } from './progress.js'
import { colors } from './text.js'

const OPTIONS = {
  json: { type: 'boolean', default: false, describe: 'Print everything as one JSON object' },
} as const satisfies Record<string, Options>

interface DoctorOptions {
  readonly json: boolean
}

export const doctorCommand: Command<DoctorOptions> = {
  builder: (yargs: Argv) =>
    yargs
      .options(OPTIONS)
      .example('$0 doctor', 'what this machine can compute with, and what is missing for the rest')
      .example('$0 doctor --json', 'the same for scripts, and for reports of bugs')
      .epilogue('Exit codes: 0 gradients can be computed on the CPU at least; 1 they can not.'),
  handler: async ({ json }) => {
    process.exitCode = await doctor(json)
  },
}

async function doctor(json: boolean): Promise<number> {
  const display = countDisplay(process.stderr, 'trying devices')
  const facts = await doctorFacts((done, total) => {
    display.update(done, total)
  }).finally(() => {
    display.stop()
  })
  process.stdout.write(json ? `${JSON.stringify(facts, null, 2)}\n` : renderDoctor(facts, colors()))
  const works = facts.devices.some(({ device, available }) => device === 'cpu' && available)
  return works ? EXIT.done : EXIT.failed
}
