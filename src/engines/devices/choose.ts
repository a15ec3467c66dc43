import { DeviceError } from '../../errors.js'
import type { Device, DeviceChoice } from './names.js'

/** The device that a run computes on. */
export interface ChosenDevice {
  readonly device: Device
  /** Name of the adapter, where the provider tells it. */
  readonly adapter?: string
}

/**
 * Chooses the device: the one that is named, or the best that passes its probe.
 * @throws DeviceError with reason and remedy where the one that is named can't be had
 */
export function chooseDevice(choice: DeviceChoice): Promise<ChosenDevice> {
  if (choice === 'auto' || choice === 'cpu') return Promise.resolve({ device: 'cpu' })
  return Promise.reject(new DeviceError(`--device ${choice}: can't be had`))
}
