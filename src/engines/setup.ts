import type { Device } from './devices/names.js'
import type { GradientProgram } from './program.js'
import type { TfjsSetup } from './tfjs/setup.js'

/** How an engine is made, in plain data that other processes can be handed. */
export type EngineSetup = OnnxRuntimeSetup | TfjsSetup

export interface OnnxRuntimeSetup {
  readonly engine: 'onnxruntime'
  /** File of the gradient graph. */
  readonly model: string
  readonly program: GradientProgram
  /** File of the graph that loops over micro-batches itself, where that may be quicker (autodiff/looped.ts). */
  readonly looped?: string
  /** Whether micro-batches are looped over in that graph; measured where it is not said. */
  readonly loops?: boolean
  readonly device: Device
  /** Whether a node on any other device is an error. */
  readonly strict: boolean
}
