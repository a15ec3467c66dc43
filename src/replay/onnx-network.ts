import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { hasBatchNorm } from '../autodiff/coupling.js'
import { differentiate } from '../autodiff/differentiate.js'
import type { DifferentiateOptions, GradientGraph } from '../autodiff/differentiate.js'
import { loopedGradient } from '../autodiff/looped.js'
import type { DataSet } from '../data/needs.js'
import { deviceName } from '../engines/devices/choose.js'
import type { ChosenDevice } from '../engines/devices/choose.js'
import { DEVICE_FORMS } from '../engines/devices/forms.js'
import { checkNumbers, checkPrecision } from '../engines/devices/precision.js'
import type { Device, DeviceChoice } from '../engines/devices/names.js'
import { programOf } from '../engines/program.js'
import type { OnnxRuntimeSetup } from '../engines/setup.js'
import { DeviceError, UnsupportedOperatorError } from '../errors.js'
import type { Graph, NamedValue, Shape } from '../onnx/graph.js'
import { readModel } from '../onnx/read.js'
import { elementsPerSample, largestPerSample } from '../onnx/size.js'
import { encodeModel } from '../onnx/write.js'
import { diskError } from '../tables/disk-error.js'
import type { Trajectory } from '../trajectory/checkpoint.js'
import { bindingNotes, bindNetwork, networkAmong } from './binding.js'
import { chooseTensors } from './choose-tensors.js'
import { flattenNotes } from './flatten-note.js'
import type { ReplayNetwork } from './network.js'
import type { RunOptions } from './options.js'
import { describeTensors } from './tensors.js'

/**
 * Binds an ONNX network to the checkpoints and differentiates it for a device.
 * @param named the network, where the options name one; otherwise it is among the checkpoints
 * @throws what reading, binding and differentiating it throw
 */
export async function openOnnxNetwork(
  options: RunOptions,
  trajectory: Trajectory,
  { named, device: chosen }: { readonly named: Graph | undefined; readonly device: ChosenDevice },
  note: (text: string) => void,
): Promise<ReplayNetwork> {
  const path = options.model ?? networkAmong(trajectory)
  if (named === undefined) note(`the network is ${path}`)
  const model = named ?? (await readModel(path))
  const { binding, graph } = await bindNetwork({ model: path, map: options.map }, model, trajectory)
  bindingNotes(binding).forEach(note)
  flattenNotes(model, binding).forEach(note)
  const parameters = binding.pairs.map(({ name }) => name)
  const { loss, batchNorm, precision } = options
  const { tensors, allocated } = chooseTensors(describeTensors(model, binding), options.tensors)
  const wanted = tensors.slice(0, allocated).map(({ name }) => name)
  const gradientOf = (device: Device): GradientGraph =>
    gradientOn(device, graph, { parameters, wanted, loss, batchNorm, precision })
  const { gradient, device } = suited(chosen, options.device ?? 'auto', gradientOf, note)
  return {
    path,
    binding,
    tensors,
    allocated,
    gradient,
    device,
    normalizes: hasBatchNorm(graph),
    elementsPerSample: (data) => elementsOf(gradient, data),
    largestPerSample: (data) => largestPerSample(withSampleShapes(gradient, data), gradient.batch),
    engineSetup: (folder) =>
      engineSetup(gradient, { ...device, strict: options.strictDevice ?? false }, folder),
  }
}

/** @throws DeviceError where the device lacks what the network computes in, and what differentiating throws */
function gradientOn(device: Device, graph: Graph, settings: DifferentiateOptions): GradientGraph {
  checkPrecision(settings.precision, device)
  const gradient = differentiate(graph, { ...settings, forms: DEVICE_FORMS[device] })
  checkNumbers(programOf(gradient).precision, device)
  return gradient
}

/**
 * The gradient for the device that was chosen. One that `auto` found may lack something that this network needs (float64,
 * an operator): then it is the CPU's, and a note says why.
 */
function suited(
  chosen: ChosenDevice,
  choice: DeviceChoice,
  gradientOf: (device: Device) => GradientGraph,
  note: (text: string) => void,
): { readonly gradient: GradientGraph; readonly device: ChosenDevice } {
  try {
    return { gradient: gradientOf(chosen.device), device: chosen }
  } catch (error) {
    const lacks = error instanceof DeviceError || error instanceof UnsupportedOperatorError
    if (!lacks || choice !== 'auto' || chosen.device === 'cpu') throw error
    const gradient = gradientOf('cpu')
    const [reason] = error.message.replace(/^--device \S+: /, '').split('; ')
    note(`${deviceName(chosen)} was not taken: ${reason!}`)
    return { gradient, device: { device: 'cpu' } }
  }
}

function engineSetup(
  gradient: GradientGraph,
  { device, strict }: ChosenDevice & { readonly strict: boolean },
  folder: string,
): OnnxRuntimeSetup {
  const loops = LOOPING.includes(device)
  return {
    engine: 'onnxruntime',
    model: written(gradient.graph, join(folder, 'gradient.onnx')),
    ...(loops && { looped: written(loopedGradient(gradient), join(folder, 'looped.onnx')) }),
    program: programOf(gradient),
    device,
    strict,
  }
}

/**
 * Devices that every run copies all parameters to, and whose provider has Scan and float64. WebGPU and DirectML have
 * neither, TensorRT no float64; the CPU copies nothing.
 */
const LOOPING: readonly Device[] = ['cuda']

function written(graph: Graph, path: string): string {
  try {
    writeFileSync(path, encodeModel(graph))
  } catch (error) {
    throw diskError(path, error)
  }
  return path
}

/** Elements that a gradient graph computes for one sample of these data. */
export function elementsOf(gradient: GradientGraph, data: DataSet): number {
  return elementsPerSample(withSampleShapes(gradient, data), gradient.batch)
}

/** Sizes that only the data fix (the length of a sequence) count with their value there. */
function withSampleShapes({ graph, batch, target }: GradientGraph, data: DataSet): Graph {
  const shapeOf = ({ name, shape }: NamedValue): Shape | undefined => {
    const sample = data.inputs.get(name) ?? (name === target?.input.name ? data.target : undefined)
    return sample === undefined ? shape : [batch, ...sample.sampleShape]
  }
  return { ...graph, inputs: graph.inputs.map((input) => ({ ...input, shape: shapeOf(input) })) }
}
