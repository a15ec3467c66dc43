import type { Device } from './names.js'
import type { Placement } from './placement.js'

/** What is asked of the process that tries a device. */
export interface ProbeQuestion {
  readonly device: Device
  /** A folder for its files, which the caller clears. */
  readonly scratch: string
}

/** What the process that tries a device says. */
export type ProbeMessage =
  | {
      /** Largest difference to the CPU's numbers in the loss or a parameter's gradient, relative to the largest there. */
      readonly error: number
      /** Of one run, after the first. */
      readonly ms: number
      readonly placement: Placement | undefined
    }
  | {
      readonly failure: string
      /** The providers of this build of ONNX Runtime, where the device's is not among them. */
      readonly backends?: readonly string[]
    }
