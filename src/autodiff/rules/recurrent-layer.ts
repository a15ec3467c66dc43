import { floatAttribute, intAttribute, stringAttribute } from '../../onnx/attributes.js'
import { GraphBuilder } from '../../onnx/builder.js'
import { RuleRefusal } from '../rule.js'
import type { Rewrite, RewriteContext } from '../rule.js'
import { fromEnd, ScanBuilder } from '../scan-builder.js'
import { activationsOf } from './cell-activations.js'
import type { Activation } from './cell-activations.js'

/** What a cell computes with: the weights of one direction, each without the axis of directions. */
export interface Weights {
  readonly builder: GraphBuilder
  /** [steps, batch, features] */
  readonly x: string
  /** [gates * hidden, features] */
  readonly w: string
  /** [gates * hidden, hidden] */
  readonly r: string
  /** [gates * hidden] each, where the node has them. */
  readonly biases: readonly [input: string, recurrence: string] | undefined
  /** [3 * hidden] of an LSTM's gates i, o and f, where the node has them. */
  readonly peepholes: string | undefined
  readonly hidden: number
  readonly activations: readonly Activation[]
  /** Limits what an activation reads. */
  readonly clip: (builder: GraphBuilder, x: string) => string
}

/** A cell that is set up: what it reads of every step, and the step. */
export interface Cell {
  /** Projections of the inputs of all steps [steps, batch, ...]. */
  readonly inputs: readonly string[]
  /** The states after a step, from those before and the slices of the inputs. */
  readonly step: (
    builder: GraphBuilder,
    states: readonly string[],
    inputs: readonly string[],
  ) => readonly string[]
}

/** A kind of recurrent operator. */
export interface CellKind {
  readonly activations: readonly string[]
  /** Inputs that hold its initial states; the first state is what the layer gives. */
  readonly initial: readonly number[]
  readonly setUp: (weights: Weights, c: RewriteContext) => Cell
}

/**
 * A recurrent layer (LSTM, GRU, RNN; 7, 14, 22) as a Scan for each direction. The products with the inputs of all steps
 * are one, before the Scan; in it only the recurrence is left. ONNX Runtime has no kernel for layout 1, so that it is
 * rewritten wherever it stands.
 */
export function recurrentLayer(kind: CellKind): Rewrite {
  return (c) => {
    if (!c.active && intAttribute(c.node, 'layout', 0) === 0) return undefined
    return new RecurrentLayer(c, kind).outputs()
  }
}

class RecurrentLayer {
  private readonly builder: GraphBuilder
  private readonly directions: readonly number[]
  private readonly batchFirst: boolean
  private readonly hidden: number
  /** [steps, batch, features] */
  private readonly x: string
  /** bool [steps, batch, 1]: whether a sample has a step, where they have unlike lengths. */
  private readonly mask: string | undefined

  constructor(
    private readonly c: RewriteContext,
    private readonly kind: CellKind,
  ) {
    this.builder = c.builder
    this.directions = directionsOf(c)
    this.batchFirst = intAttribute(c.node, 'layout', 0) === 1
    this.hidden = this.hiddenSize()
    this.x = this.batchFirst ? this.builder.transpose(c.x(0), [1, 0, 2]) : c.x(0)
    this.mask = c.x(4) === '' ? undefined : this.maskOf(c.x(4))
  }

  outputs(): readonly (string | undefined)[] {
    const { c } = this
    const activations = activationsOf(c.node, this.kind.activations, this.directions.length)
    const runs = this.directions.map((direction, d) =>
      this.run(direction, this.weights(d, activations[d]!), d),
    )
    const states = this.kind.initial.map((_, i) =>
      c.wants(i + 1) ? this.lastStates(runs.map((one) => one.states[i]!)) : undefined,
    )
    return [c.wants(0) ? this.allSteps(runs.map((one) => one.steps!)) : undefined, ...states]
  }

  private hiddenSize(): number {
    const given = intAttribute(this.c.node, 'hidden_size', 0)
    const size = given > 0 ? given : this.c.shape(2)[2]
    if (typeof size !== 'number') throw new RuleRefusal('its hidden_size is not known')
    return size
  }

  /** t < length, for every step t and sample. */
  private maskOf(lengths: string): string {
    const { builder } = this
    const int32 = (value: number): string => builder.scalar(value, 'int32')
    const steps = builder.add('Squeeze', [builder.sizes(this.x, [0])])
    const range = builder.add('Range', [int32(0), builder.cast(steps, 'int32'), int32(1)])
    const column = builder.add('Unsqueeze', [range, builder.integers([1])])
    const exists = builder.add('Less', [column, lengths])
    return builder.add('Unsqueeze', [exists, builder.integers([2])])
  }

  /** One direction of an input whose first axis has all. */
  private ofDirection(input: string, d: number): string {
    const { builder } = this
    const count = this.directions.length
    const parts =
      count === 1 ? [input] : builder.addMany('Split', [input], count, { axis: 0, num_outputs: count })
    return builder.add('Squeeze', [parts[d]!, builder.integers([0])])
  }

  private weights(d: number, activations: readonly Activation[]): Weights {
    const { builder, c } = this
    const both = c.x(3) === '' ? undefined : this.ofDirection(c.x(3), d)
    const clip = floatAttribute(c.node, 'clip', 0)
    const clipped = (inner: GraphBuilder, x: string): string => {
      const [low, high] = [-clip, clip].map((bound) => inner.scalar(bound, inner.dtype(x)))
      return clip === 0 ? x : inner.add('Clip', [x, low!, high!])
    }
    return {
      builder,
      x: this.x,
      w: this.ofDirection(c.x(1), d),
      r: this.ofDirection(c.x(2), d),
      biases: both === undefined ? undefined : halves(builder, both),
      peepholes: c.x(7) === '' ? undefined : this.ofDirection(c.x(7), d),
      hidden: this.hidden,
      activations,
      clip: clipped,
    }
  }

  private run(direction: number, weights: Weights, d: number): { steps?: string; states: readonly string[] } {
    const { c, builder, mask } = this
    const cell = this.kind.setUp(weights, c)
    const body = new GraphBuilder(emptyGraph(builder), builder)
    const scan = new ScanBuilder(builder, body)
    const states = this.kind.initial.map((input) => scan.state(this.initial(c.x(input), d)))
    const inputs = cell.inputs.map((input) => scan.read(input, fromEnd(direction)))
    const exists = mask === undefined ? undefined : scan.read(mask, fromEnd(direction))
    const next = cell.step(body, states, inputs)
    next.forEach((value, i) => {
      body.declareLike(value, states[i]!)
      scan.next(states[i]!, exists === undefined ? value : body.add('Where', [exists, value, states[i]!]))
    })
    if (c.wants(0)) scan.write(this.written(body, next[0]!, exists), fromEnd(direction))
    const found = scan.finish()
    return { states: found.states, ...(c.wants(0) && { steps: found.written[0]! }) }
  }

  /** What the layer gives for a step: zeros behind the end of a sample. */
  private written(body: GraphBuilder, value: string, exists: string | undefined): string {
    if (exists === undefined) return value
    return body.add('Where', [exists, value, body.scalar(0, body.dtype(this.x))])
  }

  /** The states before the first step [batch, hidden]: zeros where none are given. */
  private initial(given: string, d: number): string {
    const { builder } = this
    if (given !== '')
      return this.ofDirection(this.batchFirst ? builder.transpose(given, [1, 0, 2]) : given, d)
    const batch = builder.sizes(this.x, [1])
    const shape = builder.add('Concat', [batch, builder.integers([this.hidden])], { axis: 0 })
    return builder.add('Expand', [builder.scalar(0, builder.dtype(this.x)), shape])
  }

  /** [batch, hidden] for each direction as [directions, batch, hidden], or with layout 1 the batch first. */
  private lastStates(states: readonly string[]): string {
    return this.joined(states, this.batchFirst ? 1 : 0)
  }

  /** [steps, batch, hidden] for each direction as [steps, directions, batch, hidden], or [batch, steps, directions, hidden]. */
  private allSteps(steps: readonly string[]): string {
    const all = this.joined(steps, this.batchFirst ? 2 : 1)
    return this.batchFirst ? this.builder.transpose(all, [1, 0, 2, 3]) : all
  }

  private joined(values: readonly string[], axis: number): string {
    const parts = values.map((value) => this.builder.add('Unsqueeze', [value, this.builder.integers([axis])]))
    return parts.length === 1 ? parts[0]! : this.builder.add('Concat', parts, { axis })
  }
}

/** The directions in which a node's inputs are read: 0 forward, 1 backward. */
function directionsOf({ node }: RewriteContext): readonly number[] {
  const name = stringAttribute(node, 'direction', 'forward')
  if (name === 'bidirectional') return [0, 1]
  if (name === 'forward' || name === 'reverse') return [name === 'reverse' ? 1 : 0]
  throw new RuleRefusal(`there is no direction '${name}'`)
}

function emptyGraph(builder: GraphBuilder): ReturnType<GraphBuilder['current']> {
  return { ...builder.current(), inputs: [], outputs: [], initializers: new Map(), nodes: [] }
}

/** A value's halves along its first axis. */
export function halves(builder: GraphBuilder, value: string): readonly [string, string] {
  return builder.addMany('Split', [value], 2, { axis: 0, num_outputs: 2 }) as [string, string]
}

/** A value's parts along an axis: how many times the hidden size each has. */
export function parts(
  { hidden }: Pick<Weights, 'hidden'>,
  builder: GraphBuilder,
  value: string,
  sizes: readonly number[],
  axis: number,
): readonly string[] {
  const lengths = builder.integers(sizes.map((size) => size * hidden))
  return builder.addMany('Split', [value, lengths], sizes.length, { axis })
}

/** x W^T + b for the inputs of all steps: one product. */
export function projected({ builder, x }: Weights, w: string, bias: string | undefined): string {
  const features = builder.shapeOf(x)?.[2]
  const rows =
    typeof features === 'number'
      ? builder.reshape(x, [-1, features])
      : builder.reshapeTo(
          x,
          builder.add('Concat', [builder.integers([-1]), builder.sizes(x, [2])], { axis: 0 }),
        )
  const product = builder.add('Gemm', bias === undefined ? [rows, w] : [rows, w, bias], { transB: 1 })
  const shape = builder.add('Concat', [builder.sizes(x, [0, 1]), builder.integers([-1])], { axis: 0 })
  return builder.reshapeTo(product, shape)
}

/** h R^T + what is added to it: one node. */
export function recurred(builder: GraphBuilder, h: string, r: string, added: string | undefined): string {
  return builder.add('Gemm', added === undefined ? [h, r] : [h, r, added], { transB: 1 })
}
