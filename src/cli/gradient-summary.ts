import { lossChoices, lossName } from '../autodiff/losses.js'
import type { LossSpec } from '../autodiff/losses.js'
import type { StandaloneGradient } from '../autodiff/standalone.js'
import { opsetOf } from '../onnx/graph.js'
import type { NamedValue } from '../onnx/graph.js'
import { listNames } from '../listing.js'
import { elementCount, formatShape } from '../tensor.js'

/** Names on one line of a terminal. */
const NAMES_IN_LINE = 6

/** What a gradient file holds, for machines. */
export interface GradientFacts {
  readonly out: string
  readonly bytes: number
  readonly opset: number
  readonly loss: string
  readonly loss_options: object
  readonly batchnorm: string
  readonly forms: string
  readonly inputs: readonly ValueFacts[]
  readonly target: ValueFacts | null
  readonly parameters: readonly (ValueFacts & { readonly gradient: string })[]
  readonly outputs: readonly ValueFacts[]
  /** How many nodes there are of each operator, the most frequent first. */
  readonly operators: Readonly<Record<string, number>>
  readonly notes: readonly string[]
}

interface ValueFacts {
  readonly name: string
  readonly dtype: string | null
  readonly shape: readonly (number | string)[] | null
}

export function gradientFacts(
  { out, batchnorm, forms }: { readonly out: string; readonly batchnorm: string; readonly forms: string },
  loss: LossSpec,
  built: StandaloneGradient,
  bytes: number,
): GradientFacts {
  const { graph, inputs, target, parameters, gradients, notes } = built
  return {
    out,
    bytes,
    opset: opsetOf(graph),
    loss: lossName(loss),
    loss_options: lossChoices(loss),
    batchnorm,
    forms,
    inputs: inputs.map(valueFacts),
    target: target === undefined ? null : valueFacts(target.input),
    parameters: parameters.map((value) => ({ ...valueFacts(value), gradient: gradients.get(value.name)! })),
    outputs: graph.outputs.map(valueFacts),
    operators: countOperators(built),
    notes,
  }
}

function valueFacts({ name, dtype, shape }: NamedValue): ValueFacts {
  return { name, dtype: dtype ?? null, shape: shape ?? null }
}

function countOperators({ graph }: StandaloneGradient): Record<string, number> {
  const counts = new Map<string, number>()
  for (const { op } of graph.nodes) counts.set(op, (counts.get(op) ?? 0) + 1)
  return Object.fromEntries([...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1)))
}

/** The summary for people. */
export function renderGradient(facts: GradientFacts): string {
  const { out, loss, inputs, target, parameters, outputs, operators, opset, bytes } = facts
  const numbers = parameters.reduce((sum, { shape }) => sum + elementCount((shape ?? []) as number[]), 0)
  const names = parameters.map(({ name }) => name)
  const nodes = Object.values(operators).reduce((sum, count) => sum + count, 0)
  const list = Object.entries(operators).map(([op, count]) => `${op} ${count}`)
  const plain = outputs.filter(({ name }) => !name.startsWith('gradient/'))
  return [
    `${out}: loss (${loss}) and gradient, opset ${opset}, ${bytes.toLocaleString('en')} bytes`,
    `  inputs      ${[...inputs, ...(target === null ? [] : [target])].map(valueText).join(', ')}`,
    `  parameters  ${parameters.length} inputs of ${numbers.toLocaleString('en')} numbers: ${listNames(names, NAMES_IN_LINE)}`,
    `  outputs     ${plain.map(valueText).join(', ')}, and gradient/NAME for each parameter`,
    `  operators   ${nodes} nodes: ${list.join(', ')}`,
    '',
  ].join('\n')
}

function valueText({ name, dtype, shape }: ValueFacts): string {
  return `${name} ${dtype ?? '?'} ${formatShape(shape ?? [])}`
}
