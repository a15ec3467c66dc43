/** Engines that compute losses and gradients. */
export const ENGINES = ['onnxruntime', 'tfjs'] as const
export type EngineName = (typeof ENGINES)[number]

/** Devices by the execution provider of ONNX Runtime that drives them. */
export const DEVICES = ['cpu', 'cuda', 'tensorrt', 'webgpu', 'directml', 'coreml'] as const
export type Device = (typeof DEVICES)[number]

/** What a user may ask for: a device, or the best that there is. */
export const DEVICE_CHOICES = ['auto', ...DEVICES] as const
export type DeviceChoice = (typeof DEVICE_CHOICES)[number]

/** The type that a network's values are computed in; parameters, losses and sums keep theirs. */
export const PRECISIONS = ['float32', 'float16'] as const
export type Precision = (typeof PRECISIONS)[number]
