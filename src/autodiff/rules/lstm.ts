import { intAttribute } from '../../onnx/attributes.js'
import type { GraphBuilder } from '../../onnx/builder.js'
import type { RewriteContext } from '../rule.js'
import { parts, projected, recurred } from './recurrent-layer.js'
import type { CellKind, Weights } from './recurrent-layer.js'

/**
 * LSTM 7: i, f = f(...), c' = f c + i g(...), o = f(...), h' = o h(c'); gates in the order i, o, f, c. What is clipped is
 * what the gates' activations read, as ONNX Runtime does it.
 */
export const LSTM: CellKind = {
  activations: ['Sigmoid', 'Tanh', 'Tanh'],
  initial: [5, 6],
  setUp: (weights, c) => {
    const { builder, biases } = weights
    const bias = biases && builder.add('Add', [biases[0], biases[1]])
    const gates = gatesOf(weights, c)
    return {
      inputs: [projected(weights, weights.w, bias)],
      step: (body, [h, cell], [x]) => {
        const [i, f, candidate, output] = gates(body, recurred(body, h!, weights.r, x), cell!)
        const next = body.add('Add', [body.mul(f, cell!), body.mul(i, candidate)])
        return [body.mul(output(next), weights.activations[2]!(body, next)), next]
      },
    }
  },
}

/** The gates i and f, the candidate, and the gate o, which may look at the new state of the cell. */
type Gates = (
  body: GraphBuilder,
  before: string,
  cell: string,
) => readonly [i: string, f: string, candidate: string, o: (next: string) => string]

function gatesOf(weights: Weights, c: RewriteContext): Gates {
  const coupled = intAttribute(c.node, 'input_forget', 0) === 1
  return coupled || weights.peepholes !== undefined ? singleGates(weights, coupled) : jointGates(weights)
}

/** All gates have one activation: it is computed for the three at once. */
function jointGates(weights: Weights): Gates {
  const [activation, candidateActivation] = weights.activations
  return (body, before) => {
    const [gates, candidate] = parts(weights, body, weights.clip(body, before), [3, 1], 1)
    const [i, o, f] = parts(weights, body, activation!(body, gates!), [1, 1, 1], 1)
    return [i!, f!, candidateActivation!(body, candidate!), () => o!]
  }
}

/** Peepholes add to a gate what it sees of the cell's state; coupled gates have f = 1 - i. */
function singleGates(weights: Weights, coupled: boolean): Gates {
  const [activation, candidateActivation] = weights.activations
  const peepholes = weights.peepholes && parts(weights, weights.builder, weights.peepholes, [1, 1, 1], 0)
  return (body, before, cell) => {
    const [i, o, f, candidate] = parts(weights, body, before, [1, 1, 1, 1], 1)
    const gate = (x: string, peephole: number, seen: string): string => {
      const sum = peepholes === undefined ? x : body.add('Add', [x, body.mul(seen, peepholes[peephole]!)])
      return activation!(body, weights.clip(body, sum))
    }
    const input = gate(i!, 0, cell)
    const forget = coupled ? body.add('Sub', [body.scalar(1, body.dtype(cell)), input]) : gate(f!, 2, cell)
    return [
      input,
      forget,
      candidateActivation!(body, weights.clip(body, candidate!)),
      (next) => gate(o!, 1, next),
    ]
  }
}
