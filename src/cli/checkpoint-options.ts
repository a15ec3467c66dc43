import type { Argv, Options } from 'yargs'
import { WEIGHT_KINDS } from '../trajectory/formats/format.js'
import { checkOptions } from './check-options.js'

/** Which weights are meant, for every command that opens checkpoints. */
export const WEIGHTS_OPTION = {
  weights: {
    choices: WEIGHT_KINDS,
    default: 'raw' as const,
    describe: 'Of checkpoints that hold both: the weights themselves, or their running average',
  },
} as const satisfies Record<string, Options>

/** The options of a command whose one argument is where checkpoints are. */
export function checkpointCommand<O extends Record<string, Options>>(yargs: Argv, options: O) {
  return yargs
    .positional('checkpoints', {
      type: 'string',
      demandOption: true,
      describe:
        'Folder of checkpoints as PyTorch, safetensors, Keras, TensorFlow, tfjs, Flax, ONNX or NumPy, or one file of many saves',
    })
    .options(options)
    .middleware(checkOptions({ ...options, checkpoints: {} }), true)
}
