import type { GraphBuilder } from '../../onnx/builder.js'
import type { Node } from '../../onnx/graph.js'
import { RuleRefusal } from '../rule.js'

/** An activation of a recurrent cell, as nodes. */
export type Activation = (builder: GraphBuilder, x: string) => string

interface Kind {
  /** Which of the lists activation_alpha and activation_beta it takes a number from. */
  readonly takes: readonly ('alpha' | 'beta')[]
  readonly defaults?: readonly number[]
  readonly apply: (builder: GraphBuilder, x: string, numbers: readonly number[]) => string
}

function plain(op: string, names: Kind['takes'] = [], defaults: readonly number[] = []): Kind {
  return {
    takes: names,
    defaults,
    apply: (builder, x, numbers) =>
      builder.add(op, [x], Object.fromEntries(names.map((name, i) => [name, { float: numbers[i]! }]))),
  }
}

/** The activations that LSTM, GRU and RNN may name (version 7), with the defaults of the operators of these names. */
const KINDS: Readonly<Record<string, Kind>> = {
  Relu: plain('Relu'),
  Tanh: plain('Tanh'),
  Sigmoid: plain('Sigmoid'),
  Softsign: plain('Softsign'),
  Softplus: plain('Softplus'),
  LeakyRelu: plain('LeakyRelu', ['alpha'], [0.01]),
  ThresholdedRelu: plain('ThresholdedRelu', ['alpha'], [1]),
  Elu: plain('Elu', ['alpha'], [1]),
  HardSigmoid: plain('HardSigmoid', ['alpha', 'beta'], [0.2, 0.5]),
  // alpha x + beta
  Affine: {
    takes: ['alpha', 'beta'],
    apply: (builder, x, [alpha, beta]) =>
      builder.add('Add', [builder.scale(x, alpha!), builder.scalar(beta!, builder.dtype(x))]),
  },
  // alpha tanh(beta x)
  ScaledTanh: {
    takes: ['alpha', 'beta'],
    apply: (builder, x, [alpha, beta]) =>
      builder.scale(builder.add('Tanh', [builder.scale(x, beta!)]), alpha!),
  },
}

const text = new TextDecoder()

/**
 * The activations of a recurrent node, one list for each direction. Numbers are taken from activation_alpha and
 * activation_beta in the order of the activations, by those that have a use for them (LSTM 7). Throws RuleRefusal for
 * an activation that there is not, or one that has no default and no number.
 */
export function activationsOf(
  node: Node,
  defaults: readonly string[],
  directions: number,
): readonly (readonly Activation[])[] {
  const given = node.attributes.get('activations')?.strings.map((name) => text.decode(name)) ?? []
  const names = given.length > 0 ? given : Array.from({ length: directions }, () => defaults).flat()
  if (names.length !== defaults.length * directions)
    throw new RuleRefusal(`it names ${names.length} activations instead of ${defaults.length * directions}`)
  const left = {
    alpha: [...(node.attributes.get('activation_alpha')?.floats ?? [])],
    beta: [...(node.attributes.get('activation_beta')?.floats ?? [])],
  }
  const all = names.map((name): Activation => {
    const kind = KINDS[name]
    if (kind === undefined) throw new RuleRefusal(`there is no activation '${name}' for recurrent cells`)
    const numbers = kind.takes.map((list, i) => {
      const number = left[list].shift() ?? kind.defaults?.[i]
      if (number === undefined)
        throw new RuleRefusal(`its activation ${name} needs a number in activation_${list}`)
      return number
    })
    return (builder, x) => kind.apply(builder, x, numbers)
  })
  return Array.from({ length: directions }, (_, d) =>
    all.slice(d * defaults.length, (d + 1) * defaults.length),
  )
}
