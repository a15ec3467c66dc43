/** The exit statuses of the command line (docs/architecture.md, exit codes). */
export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  unsupported: 3,
  notConverged: 4,
  interrupted: 130,
} as const

/**
 * An error with a reason that a user can act on. The command line prints its message as one line, without a
 * stack, and exits with its status. The message names the file, the tensor or the option, and the remedy.
 */
export abstract class RetrogradError extends Error {
  abstract readonly code: string
  abstract readonly exitStatus: number
  override get name(): string {
    return this.constructor.name
  }
}

/** Options that don't fit together, an array name that is not in the file, an output folder that is taken. */
export class UsageError extends RetrogradError {
  readonly code = 'USAGE'
  readonly exitStatus = EXIT.usage
}

/** A checkpoint that is corrupt, not finite, or does not fit the one before; or too few of them. */
export class CheckpointError extends RetrogradError {
  readonly code = 'CHECKPOINT'
  readonly exitStatus = EXIT.failed
}

/** A checkpoint in a form that retrograd does not read (or refuses to: pickled classes). */
export class CheckpointFormatError extends RetrogradError {
  readonly code = 'CHECKPOINT_FORMAT'
  readonly exitStatus = EXIT.unsupported
}

/** The checkpoint's tensors and the network's parameters don't match. */
export class BindingError extends RetrogradError {
  readonly code = 'BINDING'
  readonly exitStatus = EXIT.unsupported
}

/** Data that is corrupt, does not fit the network, or has labels out of range. */
export class DataError extends RetrogradError {
  readonly code = 'DATA'
  readonly exitStatus = EXIT.failed
}

/** An ONNX file that is corrupt or not a valid graph. */
export class ModelError extends RetrogradError {
  readonly code = 'MODEL'
  readonly exitStatus = EXIT.failed
}

/** A valid ONNX model that uses something retrograd does not support. */
export class UnsupportedModelError extends RetrogradError {
  readonly code = 'UNSUPPORTED_MODEL'
  readonly exitStatus: number = EXIT.unsupported
}

/** An operator on the path from parameters to the loss that has no derivative rule. */
export class UnsupportedOperatorError extends RetrogradError {
  readonly code = 'UNSUPPORTED_OPERATOR'
  readonly exitStatus = EXIT.unsupported
}

/** An engine that could not build or run the gradient graph. */
export class EngineError extends RetrogradError {
  readonly code = 'ENGINE'
  readonly exitStatus = EXIT.failed
}

/** A device or an engine that was asked for by name and can't be had here. */
export class DeviceError extends RetrogradError {
  readonly code = 'DEVICE'
  readonly exitStatus = EXIT.unsupported
}

/** A Parquet table or manifest that is missing, corrupt or of another version. */
export class ResultsError extends RetrogradError {
  readonly code = 'RESULTS'
  readonly exitStatus = EXIT.failed
}

/** The reason of a caught error, in the words of the library or system that threw it. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
