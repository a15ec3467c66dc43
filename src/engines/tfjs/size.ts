import type { LayersModel } from '@tensorflow/tfjs'
import { elementCount } from '../../tensor.js'
import type { SampleArray } from '../engine.js'
import { leafLayers } from './layers.js'
import type { Layer } from './layers.js'
import type { TfjsNetwork } from './network.js'

/** A layer's output, what it was before its activation, and the gradients of both. */
const COPIES = 4
/** A recurrent layer's gates at each step, with what the tape keeps of them. */
const COPIES_OF_STEP = 8

/**
 * Elements that a micro-batch takes for each sample, forward and backward, by the shapes of the layers' outputs: a measure
 * for the size of micro-batches. Sizes that only data fix count with the largest that these have.
 */
export function elementsPerSample(
  { model, inputs }: Pick<TfjsNetwork, 'model' | 'inputs'>,
  samples: ReadonlyMap<string, Pick<SampleArray, 'sampleShape'>>,
): number {
  const open = inputs.flatMap(({ name, shape }) => {
    const sizes = samples.get(name)?.sampleShape ?? []
    return sizes.filter((_, axis) => typeof shape?.[axis + 1] === 'string')
  })
  const size = Math.max(1, ...open)
  return leafLayers(model).reduce((sum, layer) => sum + elementsOf(layer, size), 0)
}

/** Elements of the largest output of a layer for one sample, where sizes that only data fix count as 1. */
export function largestOutput(model: LayersModel): number {
  const shapes = leafLayers(model).flatMap(({ inboundNodes }) =>
    inboundNodes.flatMap((node) => shapesOf(node.outputShapes)),
  )
  return shapes.reduce(
    (largest, shape) => Math.max(largest, elementCount(shape.slice(1).map((dim) => dim ?? 1))),
    0,
  )
}

function elementsOf(layer: Layer, open: number): number {
  const known = (shape: readonly (number | null)[]): number[] => shape.slice(1).map((dim) => dim ?? open)
  let elements = 0
  for (const node of layer.inboundNodes) {
    const outputs = shapesOf(node.outputShapes)
    elements += COPIES * outputs.reduce((sum, shape) => sum + elementCount(known(shape)), 0)
    const steps = known(shapesOf(node.inputShapes)[0] ?? [])[0] ?? 1
    elements += COPIES_OF_STEP * steps * gatesOf(layer)
  }
  return elements
}

/** Gates of a recurrent layer: the width of its kernel; 0 for other layers. */
function gatesOf(layer: Layer): number {
  const recurrent = layer.weights.find(({ originalName }) => originalName.includes('recurrent_kernel'))
  return recurrent?.shape.at(-1) ?? 0
}

type KerasShape = readonly (number | null)[]

/** A node holds one shape, or several. */
function shapesOf(shapes: KerasShape | readonly KerasShape[]): readonly KerasShape[] {
  return shapes.every((one) => Array.isArray(one))
    ? (shapes as readonly KerasShape[])
    : [shapes as KerasShape]
}
