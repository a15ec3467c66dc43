import { DeviceError } from '../../errors.js'
import { needsSizes } from './forms.js'
import type { Device, Precision } from './names.js'

/**
 * Refuses a precision that a device does not have. Whether a WebGPU adapter has float16 shows when it computes
 * (lacksFloat16).
 *
 * @throws DeviceError with reason and remedy
 */
export function checkPrecision(precision: Precision | undefined, device: Device): void {
  if (precision !== 'float16' || device !== 'cpu') return
  throw new DeviceError(
    "--precision float16: ONNX Runtime's CPU provider has no float16, and would round float32 numbers for nothing; " +
      'leave the option out, or name a device that has it (cuda, tensorrt, directml, coreml, webgpu with shader-f16)',
  )
}

/**
 * Refuses weights in float64 on devices that have none: WebGPU knows no such type, DirectML computes next to nothing in
 * it, and Core ML takes float32 at most.
 *
 * @param dtype of the parameters
 * @throws DeviceError with reason and remedy
 */
export function checkNumbers(dtype: 'float32' | 'float64', device: Device): void {
  if (dtype === 'float32' || !needsSizes(device)) return
  throw new DeviceError(
    `--device ${device}: the network computes in float64, which ${device} does not have; ` +
      'use --device cpu (or cuda), or export the network in float32',
  )
}

/** The error for a message in which a provider says that it has no float16; undefined for any other message. */
export function lacksFloat16(message: string): DeviceError | undefined {
  // ONNX Runtime's WebGPU provider, when it makes the first shader (shader_helper.cc)
  if (!/requires f16 but the device does not support it/i.test(message)) return undefined
  return new DeviceError(
    '--precision float16: the adapter has no float16 (WebGPU calls it shader-f16); leave the option out',
  )
}
