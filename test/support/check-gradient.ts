import { AssertionError } from 'chai'
import { differentiate } from '../../src/autodiff/differentiate.js'
import type { DifferentiateOptions, GradientGraph } from '../../src/autodiff/differentiate.js'
import type { Graph } from '../../src/onnx/graph.js'
import type { DType } from '../../src/tensor.js'
import { Loaded, runOnce, withInputs } from './ort.js'
import type { Feed, Feeds } from './ort.js'
import { Random } from './random.js'

/** A graph, a point of its parameters, and a value of it whose elements are summed to the loss. */
export interface GradientCheck {
  readonly graph: Graph
  readonly parameters: Feeds
  readonly data: Feeds
  /** An output of the graph; its first axis is the batch, or it has no axis and counts as the batch's mean. */
  readonly loss: string
  /** Step of the differences along directions with entries between -1 and 1. */
  readonly step?: number
  readonly batchNorm?: DifferentiateOptions['batchNorm']
}

interface Precision {
  readonly step: number
  /** Largest error, relative to the terms of the directional derivative. */
  readonly tolerance: number
  /** Rounding of the loss over the step: what a derivative of 0 may come out as. */
  readonly floor: number
}

/** By the type of the forward pass. */
const PRECISION: Readonly<Partial<Record<DType, Precision>>> = {
  float64: { step: 1e-3, tolerance: 1e-8, floor: 1e-11 },
  float32: { step: 2 ** -6, tolerance: 3e-4, floor: 3e-5 },
}

/**
 * Compares the gradient that `differentiate` gives with central differences of the original graph, run by ONNX
 * Runtime: along one random direction for every parameter and one for all together. The differences are of fourth
 * order, (8 (L(h) - L(-h)) - (L(2h) - L(-2h))) / 12h, and the loss is summed in float64.
 *
 * @param alter changes the gradient graph before it runs, to see that the check can fail
 * @throws AssertionError naming the direction and both numbers
 */
export async function checkGradient(
  check: GradientCheck,
  alter: (graph: Graph) => Graph = (graph) => graph,
): Promise<GradientGraph> {
  const names = Object.keys(check.parameters)
  const gradient = differentiate(check.graph, {
    parameters: names,
    loss: { kind: 'output', name: check.loss },
    ...(check.batchNorm && { batchNorm: check.batchNorm }),
  })
  const analytic = await gradientsOf(gradient, alter(gradient.graph), check)
  const forward = await Loaded.load(withInputs(check.graph, names))
  try {
    const directions = names.length > 1 ? [...names.map((name) => [name]), names] : [names]
    for (const along of directions) await compareAlong(along, check, analytic, forward)
  } finally {
    await forward.close()
  }
  return gradient
}

/** Values by parameter, as gradients and directions are. */
export type Vectors = Readonly<Record<string, readonly number[]>>

function batchSize(check: GradientCheck): number {
  return check.data[check.graph.inputs[0]!.name]!.shape[0]!
}

/** Everything that a gradient graph reads: the point, the data, and weight 1 for every sample. */
export function gradientFeeds(gradient: GradientGraph, check: GradientCheck): Feeds {
  const { name, dtype = 'float32' } = gradient.weight
  const size = batchSize(check)
  const weight: Feed = { dtype, shape: [size], values: new Array<number>(size).fill(1) }
  return { ...check.data, ...check.parameters, [name]: weight }
}

/** The gradient at a check's point, by parameter, as the gradient graph computes it. */
export async function gradientsOf(
  gradient: GradientGraph,
  graph: Graph,
  check: GradientCheck,
): Promise<Vectors> {
  const results = await runOnce(graph, gradientFeeds(gradient, check))
  return Object.fromEntries(
    Object.entries(check.parameters).map(([parameter, { shape, values }]) => {
      const output = gradient.gradients.get(parameter)
      const result = output === undefined ? undefined : results[output]
      if (result !== undefined && result.shape.join() !== shape.join())
        throw new AssertionError(
          `the gradient of '${parameter}' [${shape.join()}] has shape [${result.shape.join()}]`,
        )
      return [parameter, result?.values ?? values.map(() => 0)]
    }),
  )
}

async function compareAlong(
  along: readonly string[],
  check: GradientCheck,
  analytic: Vectors,
  forward: Loaded,
): Promise<void> {
  const random = new Random(along.join())
  const { dtype } = check.parameters[along[0]!]!
  const { tolerance, floor, step: usual } = PRECISION[dtype]!
  const step = check.step ?? usual
  const direction: Vectors = Object.fromEntries(
    along.map((name) => [name, random.uniform(check.parameters[name]!.values.length, -1, 1)]),
  )
  const terms = along.flatMap((name) => direction[name]!.map((v, i) => v * analytic[name]![i]!))
  const expected = await derivativeAlong(direction, step, check, forward)
  const found = sum(terms)
  const scale = sum(terms.map(Math.abs)) + Math.abs(expected)
  const error = Math.abs(found - expected)
  if (!(error <= tolerance * scale + floor))
    throw new AssertionError(
      `along ${along.join(', ')} the gradient gives ${found}, differences of the forward graph give ${expected} (relative error ${error / scale})`,
    )
}

/** The directional derivative of the loss, by central differences of fourth order. */
export async function derivativeAlong(
  direction: Vectors,
  step: number,
  check: GradientCheck,
  forward: Loaded,
): Promise<number> {
  const at = async (distance: number): Promise<number> => {
    const moved = Object.entries(check.parameters).map(([name, feed]): [string, Feed] => {
      const movement = direction[name]
      if (movement === undefined) return [name, feed]
      return [name, { ...feed, values: feed.values.map((value, i) => value + distance * movement[i]!) }]
    })
    const { values, shape } = (await forward.run({ ...check.data, ...Object.fromEntries(moved) }))[
      check.loss
    ]!
    return sum(values) * (shape.length === 0 ? batchSize(check) : 1)
  }
  const near = (await at(step)) - (await at(-step))
  const far = (await at(2 * step)) - (await at(-2 * step))
  return (8 * near - far) / (12 * step)
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
