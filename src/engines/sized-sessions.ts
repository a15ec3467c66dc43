import { Tensor } from './runtime.js'
import type { InferenceSession } from './runtime.js'
import { deviceGraph } from '../autodiff/device-graph.js'
import { EngineError } from '../errors.js'
import type { Graph } from '../onnx/graph.js'
import { encodeModel } from '../onnx/write.js'
import type { Placement } from './devices/placement.js'
import { formatShape } from '../tensor.js'

/** What an engine needs of a session of ONNX Runtime. */
export interface Session {
  /** Where nodes run; undefined where it is not known yet, and on the CPU. */
  readonly placement?: Placement | undefined
  run(
    feeds: InferenceSession.FeedsType,
    fetches: InferenceSession.NullableOnnxValueMapType,
  ): Promise<InferenceSession.OnnxValueMapType>
  release(): Promise<void>
}

/**
 * Sizes that a replay comes to: the micro-batch, what is left of each split, the same for the cut that the noise floor
 * is measured with, and single samples for Fisher information.
 */
const MOST_SESSIONS = 8

const SMALLEST = -(2n ** 31n)
const LARGEST = 2n ** 31n - 1n

/**
 * One session for every size of the micro-batch (and every other size that only the data fix), made when it is first
 * needed from a graph for exactly that size (autodiff/device-graph.ts). Of too many the one that was not used for longest
 * goes.
 */
export class SizedSessions<S extends Session> implements Session {
  /** By the shapes that are fed, in the order of their use. */
  private readonly sessions = new Map<string, S>()
  /** Of the first session that told: that of the whole micro-batch, as replays go. */
  placement: Placement | undefined
  /** The session of the last run. */
  latest: S | undefined

  /**
   * @param varying names of the inputs that are no parameters
   * @param open makes a session from the bytes of an ONNX file
   */
  constructor(
    private readonly graph: Graph,
    private readonly varying: readonly string[],
    private readonly open: (model: Uint8Array) => Promise<S>,
  ) {}

  async run(
    feeds: InferenceSession.FeedsType,
    fetches: InferenceSession.NullableOnnxValueMapType,
  ): Promise<InferenceSession.OnnxValueMapType> {
    const narrow = Object.entries(feeds).map(([name, tensor]) => [name, inInt32(name, tensor)] as const)
    this.latest = await this.sessionFor(feeds)
    const results = await this.latest.run(Object.fromEntries(narrow), fetches)
    this.placement ??= this.latest.placement
    return results
  }

  async release(): Promise<void> {
    const sessions = [...this.sessions.values()]
    this.sessions.clear()
    for (const session of sessions) await session.release()
  }

  private async sessionFor(feeds: InferenceSession.FeedsType): Promise<S> {
    const key = this.varying.map((name) => `${name} ${formatShape(feeds[name]!.dims)}`).join('; ')
    const known = this.sessions.get(key)
    const session = known ?? (await this.make(feeds))
    // the last in the map is the one that was used last
    this.sessions.delete(key)
    this.sessions.set(key, session)
    return session
  }

  private async make(feeds: InferenceSession.FeedsType): Promise<S> {
    for (const [key, session] of this.sessions) {
      if (this.sessions.size < MOST_SESSIONS) break
      this.sessions.delete(key)
      await session.release()
    }
    const shapes = new Map(Object.entries(feeds).map(([name, { dims }]) => [name, dims]))
    return this.open(encodeModel(deviceGraph(this.graph, shapes)))
  }
}

/** @throws EngineError for a number that int32 does not hold */
function inInt32(name: string, tensor: Tensor): Tensor {
  if (tensor.type !== 'int64') return tensor
  const values = tensor.data as BigInt64Array
  const beyond = values.find((value) => value < SMALLEST || value > LARGEST)
  if (beyond !== undefined)
    throw new EngineError(
      `the input '${name}' holds ${beyond}, and the device computes with whole numbers of 32 bits; use --device cpu`,
    )
  return new Tensor('int32', Int32Array.from(values, Number), tensor.dims)
}
