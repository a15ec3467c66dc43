import { UsageError } from '../errors.js'
import type { RunOptions } from './options.js'

/**
 * Refuses options that only ONNX Runtime has.
 * @throws UsageError
 */
export function checkTfjsOptions({ strictDevice, precision, tf32, deviceMemory }: RunOptions): void {
  const given = [
    ['--strict-device', strictDevice === true],
    ['--precision float16', precision === 'float16'],
    ['--tf32', tf32 === true],
    ['--device-memory', deviceMemory !== undefined],
  ] as const
  const [option] = given.find(([, is]) => is) ?? []
  if (option !== undefined)
    throw new UsageError(`${option} belongs to --engine onnxruntime; the engine tfjs does not have it`)
}
