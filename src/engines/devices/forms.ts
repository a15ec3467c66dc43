import type { Forms } from '../../autodiff/rule.js'
import type { Device } from './names.js'

/**
 * The forms that a gradient graph is written in, by device.
 *
 * Those for WebGPU serve DirectML and Core ML too, on which nothing could be tried here: they keep to the plainest
 * operators (elementwise arithmetic, MatMul, Conv, reductions, Gather, Where), need no MaxPool with Indices, no
 * ScatterElements and no BatchNormalization in training mode, and compute no int64, none of which all providers have.
 * CUDA's provider has kernels for most of what the CPU's forms need; its own do without the others.
 */
export const DEVICE_FORMS: Readonly<Record<Device, Forms>> = {
  cpu: 'cpu',
  cuda: 'cuda',
  tensorrt: 'cuda',
  webgpu: 'webgpu',
  directml: 'webgpu',
  coreml: 'webgpu',
}

/**
 * Whether sessions are made for one size of the micro-batch each, from a graph in which all sizes are numbers. WebGPU
 * computes no shapes; Core ML takes nodes of unknown sizes not at all, DirectML compiles them anew for every run.
 */
export function needsSizes(device: Device): boolean {
  return DEVICE_FORMS[device] === 'webgpu'
}
