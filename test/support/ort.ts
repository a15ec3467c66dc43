import { env, InferenceSession, Tensor } from '../../src/engines/runtime.js'
import type { Graph } from '../../src/onnx/graph.js'
import { encodeModel } from '../../src/onnx/write.js'
import type { DType } from '../../src/tensor.js'
import { arrayOf } from './graphs.js'

// kernels that warn when they are made know nothing of their session's level
env.logLevel = 'error'

/** An array that goes into or came out of ONNX Runtime. */
export interface Feed {
  readonly dtype: DType
  readonly shape: readonly number[]
  readonly values: readonly number[]
}

export type Feeds = Readonly<Record<string, Feed>>

export type Optimization = 'all' | 'disabled'

/** A graph loaded in ONNX Runtime. */
export class Loaded {
  private constructor(private readonly session: InferenceSession) {}

  static async load(graph: Graph, optimization: Optimization = 'all'): Promise<Loaded> {
    const session = await InferenceSession.create(encodeModel(graph), {
      executionProviders: ['cpu'],
      graphOptimizationLevel: optimization,
      // errors are thrown, with their whole text
      logSeverityLevel: 4,
      intraOpNumThreads: 1,
      interOpNumThreads: 1,
    })
    return new Loaded(session)
  }

  async run(feeds: Feeds): Promise<Record<string, Feed>> {
    const inputs = this.session.inputNames.map((name): [string, Tensor] => [
      name,
      toTensor(feeds[name], name),
    ])
    const results = await this.session.run(Object.fromEntries(inputs))
    return Object.fromEntries(Object.entries(results).map(([name, value]) => [name, fromTensor(value)]))
  }

  async close(): Promise<void> {
    await this.session.release()
  }
}

/** Runs a graph once. */
export async function runOnce(
  graph: Graph,
  feeds: Feeds,
  optimization: Optimization = 'all',
): Promise<Record<string, Feed>> {
  const loaded = await Loaded.load(graph, optimization)
  try {
    return await loaded.run(feeds)
  } finally {
    await loaded.close()
  }
}

/** The graph with some initializers turned into inputs, so that they can be varied. */
export function withInputs(graph: Graph, names: readonly string[]): Graph {
  const initializers = new Map(graph.initializers)
  const added = names.map((name) => {
    const { dtype, shape } = initializers.get(name)!
    initializers.delete(name)
    return { name, dtype, shape }
  })
  return { ...graph, initializers, inputs: [...graph.inputs, ...added] }
}

function toTensor(feed: Feed | undefined, name: string): Tensor {
  if (feed === undefined) throw new Error(`the test gives nothing for the input '${name}'`)
  const { dtype, shape, values } = feed
  return new Tensor(dtype as 'float32', arrayOf(dtype, values) as Float32Array, shape)
}

function fromTensor(value: Tensor): Feed {
  const values = Array.from(value.data as ArrayLike<number | bigint>, Number)
  return { dtype: value.type as DType, shape: value.dims, values }
}
