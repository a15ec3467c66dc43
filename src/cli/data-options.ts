import type { Options } from 'yargs'
import { checkContext } from '../data/context.js'
import { SCALES, type DataOptions } from '../data/needs.js'
import { parseTransform } from '../data/transform.js'
import { UsageError } from '../errors.js'

/** The options that say how data are read. */
export const DATA_OPTIONS = {
  input: {
    type: 'string',
    array: true,
    nargs: 1,
    default: [] as string[],
    describe:
      'Name of the input array [x, inputs, images, image, img, pixel_values, input_ids, tokens, features]; INPUT=ARRAY for networks of several inputs (repeatable)',
  },
  target: {
    type: 'string',
    describe: 'Name of the target array [y, targets, labels, label, target, fine_label]',
  },
  scale: {
    type: 'string',
    choices: SCALES,
    default: 'auto' as const,
    describe: 'Divide image bytes by 255: where the network takes real numbers, always, never',
  },
  transform: {
    type: 'string',
    describe: "Normalize inputs after that: MEAN,STD, or '[R,G,B],[R,G,B]' with one number for each channel",
  },
  context: {
    type: 'number',
    describe: 'Cut one long array of tokens into sequences of so many; the target is the next token',
  },
} as const satisfies Record<string, Options>

/** Their values, as yargs gives them. */
export interface DataArguments {
  readonly input: readonly string[]
  readonly target?: string | undefined
  readonly scale: (typeof SCALES)[number]
  readonly transform?: string | undefined
  readonly context?: number | undefined
}

/** Throws UsageError where an option is malformed, or given twice for one input. */
export function readDataOptions({ input, target, scale, transform, context }: DataArguments): DataOptions {
  if (context !== undefined) checkContext(context)
  return {
    scale,
    ...readInputs(input),
    ...(target !== undefined && { target }),
    ...(transform !== undefined && { transform: parseTransform(transform) }),
    ...(context !== undefined && { context }),
  }
}

/** `--input ARRAY` names the array of the only input, `--input INPUT=ARRAY` that of one of several. */
function readInputs(entries: readonly string[]): Pick<DataOptions, 'input' | 'inputs'> {
  const inputs: Record<string, string> = {}
  let input: string | undefined
  for (const entry of entries) {
    const [, name, array] = /^([^=]+)=(.+)$/.exec(entry) ?? []
    const taken = name === undefined ? input !== undefined : Object.hasOwn(inputs, name)
    if (taken)
      throw new UsageError(
        `--input ${entry}: there is one${name === undefined ? '' : ` for ${name}`} already`,
      )
    if (name === undefined || array === undefined) input = entry
    else inputs[name] = array
  }
  return { ...(input !== undefined && { input }), ...(Object.keys(inputs).length > 0 && { inputs }) }
}
