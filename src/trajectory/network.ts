import type { WeightUse } from '../onnx/weight-use.js'
import { isFloat, type DType, type FloatArray } from '../tensor.js'
import type { Checkpoint, TensorInfo } from './checkpoint.js'
import type { Layout } from './layout.js'

/** An initializer of the network. */
export interface NetworkTensor {
  readonly name: string
  readonly shape: readonly number[]
  readonly dtype: DType
  /** What its axes mean to the operator that reads it, where that is known. */
  readonly use?: WeightUse
  /** Other initializers that the graph shows to be of the same layer. */
  readonly neighbours?: ReadonlySet<string>
  /** Written as a constant of the computation rather than among the weights. */
  readonly literal?: true
  /** Its numbers in the model file, read when they are asked for. */
  readonly read?: () => FloatArray
}

/** What binding needs of a checkpoint. */
export type BoundCheckpoint = Pick<Checkpoint, 'path' | 'step' | 'tensors' | 'read'>

/** How a pair was found. */
export type Evidence = 'name' | 'translated name' | 'value' | 'shape' | 'map'

/** A tensor of the checkpoints and the parameter of the network that it is. */
export interface BoundPair extends Layout {
  /** The network's name. */
  readonly parameter: string
  /** The checkpoint's name. */
  readonly tensor: string
  /** The name in the tables: the network's, unless that is an exporter's invention or another framework's word. */
  readonly name: string
  /** The checkpoint's shape, which the tables follow. */
  readonly shape: readonly number[]
  /** The network's shape, where it is not that of the transposed tensor. */
  readonly reshaped?: readonly number[]
  readonly by: Evidence
}

/** Whether a tensor holds weights: real numbers, in an element type that is read. */
export function isReadable({ dtype, unsupported }: TensorInfo): boolean {
  return isFloat(dtype) && unsupported === undefined
}

/** The float tensors of a checkpoint in a type that is read. */
export function readableTensors({ tensors }: Pick<BoundCheckpoint, 'tensors'>): TensorInfo[] {
  return [...tensors.values()].filter(isReadable)
}

/** The float tensors of a checkpoint. */
export function floatTensors({ tensors }: Pick<BoundCheckpoint, 'tensors'>): TensorInfo[] {
  return [...tensors.values()].filter(({ dtype }) => isFloat(dtype))
}
