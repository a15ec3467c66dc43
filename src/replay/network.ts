import type { GradientGraph } from '../autodiff/differentiate.js'
import type { DataSet } from '../data/needs.js'
import type { ChosenDevice } from '../engines/devices/choose.js'
import type { EngineSetup } from '../engines/setup.js'
import type { Binding } from '../trajectory/bind.js'
import type { LcaTensor } from './tensors.js'

/** What a replay must know of a loss and its gradient, whichever engine computes them. */
export type Differentiated = Pick<
  GradientGraph,
  'inputs' | 'target' | 'batch' | 'perSample' | 'coupledBy' | 'gradients' | 'notes'
>

/** The engine that computes a run, as its manifest names it. */
export interface EngineFacts {
  readonly version: string
  /** The package or program behind it. */
  readonly backend: string
  /** Version of the native library behind that. */
  readonly library?: string
}

/** A network that is bound to the checkpoints and differentiated. */
export interface ReplayNetwork {
  /** The network's file. */
  readonly path: string
  readonly binding: Binding
  /** In the order of the tables; where LCA is restricted to some, those come first. */
  readonly tensors: readonly LcaTensor[]
  /** LCA is allocated to the first so many tensors. */
  readonly allocated: number
  readonly gradient: Differentiated
  /** Where it computes, if not on the device that was chosen before the network was read. */
  readonly device?: ChosenDevice
  /** Whether it has BatchNormalization, whose meaning depends on an option. */
  readonly normalizes: boolean
  /** Elements that the engine computes for one sample of these data: a measure of a micro-batch's memory. */
  elementsPerSample(data: DataSet): number
  /** What the manifest says of an engine other than ONNX Runtime: its version, and what it computes by. */
  readonly engineFacts?: EngineFacts
  /** Elements of the largest value among them; for engines whose devices have memory of their own. */
  readonly largestPerSample?: (data: DataSet) => number
  /** Writes what the engine needs into a folder, and says how to open the engine from there. */
  engineSetup(folder: string): EngineSetup
}
