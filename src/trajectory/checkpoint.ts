import type { FloatArray, StoredDType, Tensor } from '../tensor.js'

/** A tensor of a checkpoint as its header declares it; no value has been read. */
export interface TensorInfo {
  readonly name: string
  readonly shape: readonly number[]
  readonly dtype: StoredDType
  /**
   * The file's own name of an element type that retrograd does not read (`F4`, `C64`); `dtype` is then a
   * stand-in: float16 for narrow floats, which are weights all the same, uint8 for the rest.
   */
  readonly unsupported?: string
}

/** One recorded state of the network. Values are read when asked for, and no file stays open in between. */
export interface Checkpoint {
  /** The file, or for a file of many saves the file and the save: `weights.h5 save 3`. */
  readonly path: string
  /** The step, epoch, iteration or save that it records, in the trajectory's unit. */
  readonly step: number
  readonly bytes: number
  /** The ONNX file of the network, where the checkpoint is one. */
  readonly network?: string
  readonly tensors: ReadonlyMap<string, TensorInfo>
  /**
   * One float tensor, in row-major order.
   * @throws CheckpointError when the checkpoint has no such tensor, or the file is truncated or corrupt
   * @throws CheckpointFormatError when its element type cannot be read
   */
  readonly read: (name: string) => Promise<Tensor<FloatArray>>
  /** SHA-256 (hex) over the file's size, its first and last 64 KiB, and the save's index: a cheap identity. */
  readonly fingerprint: () => Promise<string>
}

export const STEP_UNITS = ['step', 'epoch', 'iteration', 'save'] as const
/** What the numbers of a trajectory count; `save` where nothing is known but the order. */
export type StepUnit = (typeof STEP_UNITS)[number]

/** The ordered checkpoints of one run, at least two, all with the same tensors. */
export interface Trajectory {
  readonly path: string
  /** The checkpoints' format: `safetensors`, `PyTorch`, `HDF5`. */
  readonly format: string
  readonly stepUnit: StepUnit
  readonly checkpoints: readonly Checkpoint[]
  /** Checkpoints at the path that a range of steps leaves out; they may hold other tensors. */
  readonly others?: readonly Checkpoint[]
  /** Files of the folder that are no checkpoints of their own: aliases (last, best, latest), optimizer states. */
  readonly leftOut: readonly LeftOut[]
  /** What a reader of the results should know: where the steps come from when the first choice did not do. */
  readonly notes: readonly string[]
}

export interface LeftOut {
  readonly path: string
  readonly reason: string
}
