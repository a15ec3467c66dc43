import { setTimeout } from 'node:timers/promises'
import { InferenceSession, Tensor } from '../../src/engines/runtime.js'
import { DENOMINATORS, differentiate } from '../../src/autodiff/differentiate.js'
import type { GradientGraph } from '../../src/autodiff/differentiate.js'
import { sessionOptions } from '../../src/engines/session-options.js'
import { readModel } from '../../src/onnx/read.js'
import { encodeModel } from '../../src/onnx/write.js'
import { median, reference, THREADS } from './common.js'
import { batchOf, gradientOutputs, parametersOf } from './feeds.js'
import type { Feeds } from './feeds.js'
import { GradientPeer } from './peer.js'

const ROUNDS = 20
/** How long one side computes before it is the other's turn. */
const TURN_MS = 150
/** A pause lets the threads of the side that has computed come to rest. */
const PAUSE_MS = 20
/** Both compute in float32. */
const TOLERANCE = 1e-3

interface Network {
  readonly folder: string
  readonly batch: number
}

/** Classes of ../shared/reference/make_reference.py, and batches as a replay takes them. */
export const NETWORKS: Readonly<Record<string, Network>> = {
  FC: { folder: 'mnist-fc', batch: 1000 },
  LeNet: { folder: 'lenet', batch: 200 },
  ResNet: { folder: 'resnet-bn', batch: 64 },
  GPT: { folder: 'gpt', batch: 32 },
}

/**
 * Times the gradient graph (one run of a session made as the engine makes it: forward, loss and backward; inputs ready,
 * outputs in JavaScript) in turn with forward, loss and torch.autograd.grad of the same network, weights and batch in
 * eval mode. Prints the ratios of the medians and of the shortest times.
 */
export async function benchGradient(name: string): Promise<void> {
  const network = NETWORKS[name]
  if (network === undefined)
    throw new Error(`no network ${name}; networks: ${Object.keys(NETWORKS).join(' ')}`)
  const peer = new GradientPeer(name, network.folder, network.batch)
  try {
    const norms = await peer.norms()
    const own = await OwnGradient.of(network, Object.keys(norms))
    const difference = own.differenceFrom(norms, await own.run())
    if (!(difference < TOLERANCE))
      throw new Error(`${name}: gradients differ by ${difference}; times would say nothing`)
    report(
      name,
      network,
      await inTurn(
        (count) => own.time(count),
        (count) => peer.time(count),
      ),
    )
  } finally {
    peer.close()
  }
}

type Timing = (count: number) => Promise<number[]>

async function inTurn(own: Timing, peer: Timing): Promise<[own: number[], peer: number[]]> {
  const sides = [own, peer].map((time) => ({ time, turn: 0, all: [] as number[] }))
  for (const side of sides) {
    await side.time(3)
    side.turn = Math.max(1, Math.round(TURN_MS / median(await side.time(5))))
  }
  for (let round = 0; round < ROUNDS; round += 1)
    for (const side of sides) {
      await setTimeout(PAUSE_MS)
      side.all.push(...(await side.time(side.turn)))
    }
  return [sides[0]!.all, sides[1]!.all]
}

function report(name: string, { batch }: Network, [own, peer]: readonly [number[], number[]]): void {
  const ratio = (of: (values: readonly number[]) => number): string => (of(own) / of(peer)).toFixed(2)
  const shortest = (values: readonly number[]): number => Math.min(...values)
  const both = (of: (values: readonly number[]) => number): string =>
    `retrograd ${of(own).toFixed(2)} ms, PyTorch ${of(peer).toFixed(2)} ms`
  console.log(
    `${name}, batch ${batch}: ratio of medians ${ratio(median)} (${both(median)}), ` +
      `of the shortest ${ratio(shortest)} (${both(shortest)}); ${own.length} and ${peer.length} runs`,
  )
}

class OwnGradient {
  private constructor(
    private readonly session: InferenceSession,
    private readonly gradient: GradientGraph,
    private readonly feeds: Feeds,
  ) {}

  static async of({ folder, batch }: Network, parameters: readonly string[]): Promise<OwnGradient> {
    const model = await readModel(`${reference(folder)}/model.onnx`)
    const gradient = differentiate(model, { parameters, loss: { kind: 'cross-entropy' } })
    const session = await InferenceSession.create(
      encodeModel(gradient.graph),
      sessionOptions({ device: 'cpu', strict: false }, { threads: THREADS }),
    )
    const feeds = {
      ...parametersOf(model, parameters),
      ...(await batchOf(`${reference(folder)}/train.npz`, gradient, batch)),
    }
    return new OwnGradient(session, gradient, feeds)
  }

  run(): Promise<InferenceSession.OnnxValueMapType> {
    return this.session.run(this.feeds, gradientOutputs(this.gradient, this.feeds))
  }

  async time(count: number): Promise<number[]> {
    const outputs = gradientOutputs(this.gradient, this.feeds)
    const times: number[] = []
    for (let i = 0; i < count; i += 1) {
      const start = performance.now()
      await this.session.run(this.feeds, outputs)
      times.push(performance.now() - start)
    }
    return times
  }

  /** The largest relative difference of a gradient's norm; the peer's loss is the mean. */
  differenceFrom(
    norms: Readonly<Record<string, number>>,
    results: InferenceSession.OnnxValueMapType,
  ): number {
    const weight = sum(results[DENOMINATORS]!, (value) => value)
    const differences = [...this.gradient.gradients].map(([parameter, output]) => {
      const norm = Math.sqrt(sum(results[output]!, (value) => value ** 2)) / weight
      return Math.abs(norm - norms[parameter]!) / norms[parameter]!
    })
    return differences.length === Object.keys(norms).length ? Math.max(...differences) : Infinity
  }
}

function sum(tensor: Tensor, of: (value: number) => number): number {
  return (tensor.data as Float32Array).reduce((total, value) => total + of(value), 0)
}
