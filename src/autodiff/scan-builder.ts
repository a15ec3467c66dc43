import { attributes } from '../onnx/attributes.js'
import type { GraphBuilder } from '../onnx/builder.js'
import type { Shape } from '../onnx/graph.js'
import { graphAttribute } from '../onnx/subgraph.js'
import { normalizeAxis } from '../onnx/shapes/dims.js'

/** How a tensor is read or written slice by slice: along which axis, from the front (0) or from the back (1). */
export interface Order {
  readonly axis: number
  readonly direction: number
}

/** Along the first axis. */
export function fromEnd(direction: number): Order {
  return { axis: 0, direction }
}

interface State {
  readonly initial: string
  readonly value: string
  next: string
}

interface Scanned {
  readonly outer: string
  readonly slice: string
  readonly order: Order
}

/** Puts a Scan together (Scan 11): states, what is read and what is written, and the body in a builder of its own. */
export class ScanBuilder {
  private readonly states: State[] = []
  private readonly scanned: Scanned[] = []
  private readonly written: { value: string; order: Order }[] = []

  constructor(
    private readonly outer: GraphBuilder,
    readonly body: GraphBuilder,
  ) {}

  /** A state that starts as a value of the graph around, and stays what it is unless `next` says otherwise. */
  state(initial: string): string {
    const value = this.body.input(this.outer.info(initial))
    this.states.push({ initial, value, next: value })
    return value
  }

  next(state: string, value: string): void {
    this.states.find((one) => one.value === state)!.next = value
  }

  /** The slices of a tensor of the graph around; `slice` where the body has a name for them already. */
  read(outer: string, order: Order, slice?: string): string {
    const found = this.outer.info(outer)
    const name =
      slice ?? this.body.input({ dtype: found.dtype, shape: found.shape && without(found.shape, order.axis) })
    this.scanned.push({ outer, slice: name, order })
    return name
  }

  get reads(): readonly Scanned[] {
    return this.scanned
  }

  /** Stacks a value of the body; gives its place among the written ones. */
  write(value: string, order: Order): number {
    const same = this.written.findIndex(
      (one) =>
        one.value === value && one.order.axis === order.axis && one.order.direction === order.direction,
    )
    if (same >= 0) return same
    this.written.push({ value, order })
    return this.written.length - 1
  }

  /** Everything that the body computes for the graph around. */
  get results(): readonly string[] {
    return [...this.states.map(({ next }) => next), ...this.written.map(({ value }) => value)]
  }

  /** Adds the Scan to the graph around. Gives the states at the end, in their order, and what was written. */
  finish(): { readonly states: readonly string[]; readonly written: readonly string[] } {
    const inputs = [...this.states.map(({ value }) => value), ...this.scanned.map(({ slice }) => slice)]
    const graph = this.body.finishBody(
      inputs.map((name) => ({ name, ...this.body.info(name) })),
      this.results,
    )
    const settings = attributes({
      num_scan_inputs: this.scanned.length,
      scan_input_axes: this.scanned.map(({ order }) => order.axis),
      scan_input_directions: this.scanned.map(({ order }) => order.direction),
      ...(this.written.length > 0 && {
        scan_output_axes: this.written.map(({ order }) => order.axis),
        scan_output_directions: this.written.map(({ order }) => order.direction),
      }),
    })
    const outputs = this.outer.addNode(
      'Scan',
      [...this.states.map(({ initial }) => initial), ...this.scanned.map(({ outer }) => outer)],
      this.results.length,
      new Map([...settings, ['body', graphAttribute('body', graph)]]),
    )
    return { states: outputs.slice(0, this.states.length), written: outputs.slice(this.states.length) }
  }
}

function without(shape: Shape, axis: number): Shape {
  return shape.toSpliced(normalizeAxis(axis, shape.length), 1)
}
