import { UnsupportedModelError } from '../errors.js'
import { formatShape } from '../tensor.js'
import type { Dim, NamedValue } from '../onnx/graph.js'

/** The inputs of a network, and the size of the batch axis that they share. */
export interface Batch {
  /** A symbol, or a number for a network exported with a fixed batch. */
  readonly size: Dim
  /** The same inputs, with one name for that size. */
  readonly inputs: readonly NamedValue[]
}

/** What exporters and people call the batch axis; an input whose first axis is another must not have it elsewhere. */
const BATCH_NAME = /^(batch|batch_?size|n_?batch|bs)$/i

/**
 * The batch axis is the first of every input; sizes that are named differently there are the same, and get one name.
 *
 * @throws UnsupportedModelError where an input has no axis, sizes differ, or the batch is another axis
 */
export function commonBatch(inputs: readonly NamedValue[]): Batch {
  const firsts = inputs.map(firstSize)
  const [first] = firsts
  if (first === undefined) throw new UnsupportedModelError('the network has no inputs to put data in')
  refuseOtherAxis(inputs, firsts)
  const fixed = firsts.find((size) => typeof size === 'number')
  if (firsts.some((size) => typeof size === 'number' && size !== fixed))
    throw new UnsupportedModelError(`the network's inputs have different batch sizes: ${listed(inputs)}`)
  const size = fixed ?? firsts.find((one) => BATCH_NAME.test(String(one))) ?? first
  const same = new Set<Dim>(firsts)
  return {
    size,
    inputs: inputs.map((input) => ({
      ...input,
      shape: input.shape?.map((dim) => (typeof dim === 'string' && same.has(dim) ? size : dim)),
    })),
  }
}

function firstSize({ name, shape }: NamedValue): Dim {
  const size = shape?.[0]
  if (size !== undefined) return size
  const found = shape === undefined ? 'declared without a shape' : formatShape(shape)
  throw new UnsupportedModelError(`the network's input '${name}' has no batch axis (it is ${found})`)
}

/** An axis that is the first of one input, or is called the batch, must not stand further behind in another. */
function refuseOtherAxis(inputs: readonly NamedValue[], firsts: readonly Dim[]): void {
  const called = inputs.find(({ shape }) => BATCH_NAME.test(String(shape?.[0])))
  for (const { name, shape = [] } of inputs) {
    const [first = 1] = shape
    if (BATCH_NAME.test(String(first))) continue
    const own = `'${name}' is ${formatShape(shape)}`
    if (typeof first === 'string' && called?.shape?.includes(first) === true)
      throw otherAxis(inputs, `${own}, whose first axis is another one of '${called.name}'`)
    const axis = shape.findIndex((dim, i) => i > 0 && dim !== first && isBatch(dim, firsts))
    if (axis >= 0) throw otherAxis(inputs, `${own}, with the batch (${shape[axis]!}) at axis ${axis}`)
  }
}

function isBatch(dim: Dim, firsts: readonly Dim[]): boolean {
  return typeof dim === 'string' && (BATCH_NAME.test(dim) || firsts.includes(dim))
}

function otherAxis(inputs: readonly NamedValue[], what: string): UnsupportedModelError {
  return new UnsupportedModelError(
    `the network's input ${what}: the first axis of every input must count samples (inputs: ${listed(inputs)}); ` +
      `export the network so (PyTorch: batch_first=True, or a transposition in forward)`,
  )
}

function listed(inputs: readonly NamedValue[]): string {
  return inputs.map(({ name, shape }) => `${name} ${formatShape(shape ?? [])}`).join(', ')
}
