import { createRequire } from 'node:module'
import { DeviceError, reasonOf } from '../errors.js'
import { ONNXRUNTIME_VERSION } from './version.js'

/**
 * Loads a module that needs ONNX Runtime, which is a native library: not every platform has one, and it may be damaged.
 * @throws DeviceError with the remedy where it does not load
 */
export async function loaded<Module>(load: () => Promise<Module>): Promise<Module> {
  try {
    // an import that fails ends the process in Node.js 20, whether or not its rejection is handled; this does not
    createRequire(import.meta.url)('onnxruntime-node')
  } catch (error) {
    throw new DeviceError(
      `ONNX Runtime ${ONNXRUNTIME_VERSION} does not load on ${process.platform}-${process.arch}: ${reasonOf(error).split('\n', 1)[0]!}; ` +
        `install it again (npm install onnxruntime-node@${ONNXRUNTIME_VERSION}), or use --engine tfjs`,
    )
  }
  return load()
}
