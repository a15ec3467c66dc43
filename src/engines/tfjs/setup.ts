import type { LossSpec } from '../../autodiff/losses.js'
import type { Settings } from '../../autodiff/rule.js'
import type { TfjsBackendName } from './packages.js'

/** The losses that TensorFlow.js computes; one in an ONNX file is not among them. */
export type TfjsLossSpec = Exclude<LossSpec, { kind: 'graph' }>

export interface NetworkChoices {
  readonly loss: TfjsLossSpec
  readonly batchNorm: Settings['batchNorm']
}

/** How the engine tfjs is made, in plain data that other processes can be handed. */
export interface TfjsSetup extends NetworkChoices {
  readonly engine: 'tfjs'
  readonly backend: TfjsBackendName
  /** File of the network without its numbers: a NetworkFile as JSON. */
  readonly file: string
  /** The manifest's name of the weight by parameter. */
  readonly parameters: Readonly<Record<string, string>>
  /** The parameters that gradients are taken of. */
  readonly wanted: readonly string[]
}
