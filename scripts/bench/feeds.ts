import { Tensor } from '../../src/engines/runtime.js'
import { DENOMINATORS, NUMERATORS } from '../../src/autodiff/differentiate.js'
import type { GradientGraph } from '../../src/autodiff/differentiate.js'
import { openArrayFile } from '../../src/data/array-files.js'
import { readFloats } from '../../src/data/convert.js'
import type { Graph, NamedValue } from '../../src/onnx/graph.js'

export type Feeds = Record<string, Tensor>

/** The parameters of the network as its file has them. */
export function parametersOf(model: Graph, names: readonly string[]): Feeds {
  return Object.fromEntries(
    names.map((name) => {
      const { shape, read } = model.initializers.get(name)!
      const values = new Float32Array(Uint8Array.from(read()).buffer)
      return [name, new Tensor('float32', values, shape)]
    }),
  )
}

/** A batch of the data x and y, from their start and over again where there are fewer samples. */
export async function batchOf(path: string, gradient: GradientGraph, batch: number): Promise<Feeds> {
  const { arrays } = await openArrayFile(path)
  const feeds: Feeds = {}
  for (const array of arrays) {
    if (!('dtype' in array)) continue
    const all = await readFloats(array, 'float32', 1)
    const [samples = 0, ...sample] = array.shape
    const size = all.length / samples
    const values = new Float32Array(batch * size)
    for (let i = 0; i < batch; i += 1)
      values.set(all.subarray((i % samples) * size, ((i % samples) + 1) * size), i * size)
    const input = array.name === 'y' ? gradient.target!.input : gradient.inputs[0]!
    feeds[input.name] = tensorOf(input, values, [batch, ...sample])
  }
  const { weight, graph } = gradient
  if (graph.inputs.some(({ name }) => name === weight.name))
    feeds[weight.name] = new Tensor('float32', new Float32Array(batch).fill(1), [batch])
  return feeds
}

function tensorOf({ dtype }: NamedValue, values: Float32Array, shape: readonly number[]): Tensor {
  return dtype === 'int64'
    ? new Tensor('int64', BigInt64Array.from(values, BigInt), shape)
    : new Tensor('float32', values, shape)
}

/** What a run writes to: arrays of its own for gradients, as the engine gives it. */
export function gradientOutputs(gradient: GradientGraph, feeds: Feeds): Record<string, Tensor | null> {
  const gradients = [...gradient.gradients].map(([parameter, output]): [string, Tensor] => {
    const { dims, size } = feeds[parameter]!
    return [output, new Tensor('float32', new Float32Array(size), dims)]
  })
  return { [NUMERATORS]: null, [DENOMINATORS]: null, ...Object.fromEntries(gradients) }
}
