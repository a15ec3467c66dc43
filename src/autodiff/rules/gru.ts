import { intAttribute } from '../../onnx/attributes.js'
import type { GraphBuilder } from '../../onnx/builder.js'
import { parts, projected, recurred } from './recurrent-layer.js'
import type { Cell, CellKind, Weights } from './recurrent-layer.js'

/** RNN 7: h' = f(x W^T + h R^T + b). */
export const RNN: CellKind = {
  activations: ['Tanh'],
  initial: [5],
  setUp: (weights) => {
    const { builder, biases } = weights
    const bias = biases && builder.add('Add', [biases[0], biases[1]])
    return {
      inputs: [projected(weights, weights.w, bias)],
      step: (body, [h], [x]) => {
        const sum = recurred(body, h!, weights.r, x)
        return [weights.activations[0]!(body, weights.clip(body, sum))]
      },
    }
  },
}

/** GRU 7: z, r = f(...), h' = (1 - z) g(...) + z h; gates in the order z, r, h. */
export const GRU: CellKind = {
  activations: ['Sigmoid', 'Tanh'],
  initial: [5],
  setUp: (weights, c) =>
    intAttribute(c.node, 'linear_before_reset', 0) === 0 ? resetBefore(weights) : resetAfter(weights),
}

// candidate: g(x W^T + (r h) R^T + b)
function resetBefore(weights: Weights): Cell {
  const { builder, biases, w, r } = weights
  const [gatesW, candidateW] = parts(weights, builder, w, [2, 1], 0)
  const [gatesR, candidateR] = parts(weights, builder, r, [2, 1], 0)
  const [gatesB, candidateB] = biases
    ? parts(weights, builder, builder.add('Add', [biases[0], biases[1]]), [2, 1], 0)
    : [undefined, undefined]
  return {
    inputs: [projected(weights, gatesW!, gatesB), projected(weights, candidateW!, candidateB)],
    step: (body, [h], [gatesX, candidateX]) => {
      const [z, reset] = gates(weights, body, recurred(body, h!, gatesR!, gatesX))
      const candidate = recurred(body, body.mul(reset, h!), candidateR!, candidateX)
      return [mixed(weights, body, z, candidate, h!)]
    },
  }
}

// candidate: g(x W^T + b_W + r (h R^T + b_R)), one product with h for all gates
function resetAfter(weights: Weights): Cell {
  const { builder, biases, w, r } = weights
  const [gatesW, candidateW] = parts(weights, builder, w, [2, 1], 0)
  const [gatesB, candidateB] = biases ? parts(weights, builder, biases[0], [2, 1], 0) : [undefined, undefined]
  return {
    inputs: [projected(weights, gatesW!, gatesB), projected(weights, candidateW!, candidateB)],
    step: (body, [h], [gatesX, candidateX]) => {
      const [gatesH, candidateH] = parts(weights, body, recurred(body, h!, r, biases?.[1]), [2, 1], 1)
      const [z, reset] = gates(weights, body, body.add('Add', [gatesX!, gatesH!]))
      const candidate = body.add('Add', [candidateX!, body.mul(reset, candidateH!)])
      return [mixed(weights, body, z, candidate, h!)]
    },
  }
}

function gates(weights: Weights, body: GraphBuilder, sum: string): readonly [z: string, r: string] {
  const both = weights.activations[0]!(body, weights.clip(body, sum))
  return parts(weights, body, both, [1, 1], 1) as [string, string]
}

/** (1 - z) candidate + z h, with one product. */
function mixed(weights: Weights, body: GraphBuilder, z: string, sum: string, h: string): string {
  const candidate = weights.activations[1]!(body, weights.clip(body, sum))
  return body.add('Add', [candidate, body.mul(z, body.add('Sub', [h, candidate]))])
}
