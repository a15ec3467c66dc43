import { attributes, intsAttribute } from '../../onnx/attributes.js'
import { scanStates } from '../../onnx/body.js'
import type { Graph } from '../../onnx/graph.js'
import { withSubgraphs } from '../../onnx/subgraph.js'
import { addedUp } from '../driver.js'
import type { VjpContext } from '../rule.js'
import { fromEnd, ScanBuilder } from '../scan-builder.js'
import type { Order } from '../scan-builder.js'
import { DifferentiatedBody } from './body.js'
import type { Carried } from './body.js'
import { DeferredSums } from './deferred.js'

/**
 * Scan 11: a Scan in the other direction, whose states are the cotangents of the states and a sum for every value that
 * the body captures. Its body computes again what is cheap and reads what is not (and the states before every
 * iteration) from further outputs of the forward Scan.
 */
export function scan(c: VjpContext): readonly (string | undefined)[] {
  return new ScanGradient(c).cotangents()
}

class ScanGradient {
  private readonly states: number
  private readonly graph: Graph
  private readonly body: DifferentiatedBody
  private readonly back: ScanBuilder
  private readonly results = new Map<number, string>()

  constructor(private readonly c: VjpContext) {
    this.states = scanStates(c.node)
    this.graph = c.builder.body(c.node, 'body')
    this.body = new DifferentiatedBody(c, this.graph, true)
    this.back = new ScanBuilder(c.builder, this.body.builder)
  }

  cotangents(): readonly (string | undefined)[] {
    const { c, body, back } = this
    const carried = this.reachedStates()
    const states = carried.map(({ index }) =>
      back.state(c.cotangent(index) ?? c.builder.zerosLike(c.y(index))),
    )
    const terms = body.reverse(this.active(), [
      ...carried.map(({ after }, i) => [after, states[i]!] as const),
      ...this.outputCotangents(),
    ])
    const total = (name: string): string | undefined => {
      const parts = terms.get(name)
      return parts && addedUp(body.builder, name, parts)
    }
    carried.forEach(({ before }, i) => {
      back.next(states[i]!, total(before) ?? body.builder.zerosLike(before))
    })
    const slices = this.slices().flatMap(({ slice, input, order }) => {
      const cotangent = c.needs(input) ? total(slice) : undefined
      return cotangent === undefined ? [] : [{ input, place: back.write(cotangent, order) }]
    })
    const sums = this.addSums(terms)
    if (back.results.length + sums.operands.length === 0) return []
    this.readKept(sums)
    const found = back.finish()
    for (const [value, term] of sums.collect(c.builder, found.written)) c.accumulate(value, term)
    ;[...sums.remaining.keys()].forEach((value, i) => {
      c.accumulate(value, found.states[carried.length + i]!)
    })
    for (const { input, place } of slices) this.results.set(input, found.written[place]!)
    carried.forEach(({ index }, i) => this.results.set(index, found.states[i]!))
    return c.node.inputs.map((_, input) => this.results.get(input))
  }

  private carried(): (Carried & { readonly index: number })[] {
    return this.graph.inputs
      .slice(0, this.states)
      .map(({ name }, index) => ({ index, before: name, after: this.graph.outputs[index]!.name }))
  }

  private active(): ReadonlySet<string> {
    const wanted = this.graph.inputs.filter((_, i) => this.c.needs(i)).map(({ name }) => name)
    return this.body.activeInputs(wanted, this.carried())
  }

  /** The states whose cotangents are carried back. */
  private reachedStates(): ReturnType<ScanGradient['carried']> {
    const seeds = this.graph.outputs.filter((_, i) => this.c.cotangent(i) !== undefined)
    const reached = this.body.reached(
      this.active(),
      seeds.map(({ name }) => name),
      this.carried(),
    )
    return this.carried().filter(({ before }) => reached.has(before))
  }

  /** The cotangents of the scan outputs, read in the order opposite to that in which they were written. */
  private outputCotangents(): (readonly [output: string, cotangent: string])[] {
    return this.graph.outputs.slice(this.states).flatMap(({ name }, k) => {
      const cotangent = this.c.cotangent(this.states + k)
      if (cotangent === undefined) return []
      const slice = this.back.read(cotangent, this.reversed('scan_output', k))
      this.body.builder.declareLike(slice, name)
      return [[name, slice] as const]
    })
  }

  /** The scan inputs as the way back reads them, and writes their cotangents. */
  private slices(): { readonly slice: string; readonly input: number; readonly order: Order }[] {
    return this.graph.inputs.slice(this.states).map(({ name }, j) => ({
      slice: name,
      input: this.states + j,
      order: this.reversed('scan_input', j),
    }))
  }

  private reversed(which: 'scan_input' | 'scan_output', index: number): Order {
    const { node } = this.c
    return {
      axis: intsAttribute(node, `${which}_axes`)?.[index] ?? 0,
      direction: 1 - (intsAttribute(node, `${which}_directions`)?.[index] ?? 0),
    }
  }

  /** The sums over all iterations: the cotangents of captured values. */
  private addSums(terms: ReadonlyMap<string, readonly string[]>): DeferredSums {
    const { body, back, c } = this
    const captured = [...terms].filter(([name]) => body.captured.includes(name))
    const sums = new DeferredSums(body.builder, new Map(captured), this.usual())
    for (const [value, parts] of sums.remaining) {
      const state = back.state(c.builder.zerosLike(value))
      back.next(state, addedUp(body.builder, value, [state, ...parts]))
    }
    return sums
  }

  /** Reads what the way back needs of the forward Scan: its inputs, its states and what it keeps. */
  private readKept(sums: DeferredSums): void {
    const { body, back, c } = this
    const kept = body.kept([...back.results, ...sums.operands])
    for (const { slice, input, order } of this.slices())
      if (kept.inputs.has(slice)) back.read(c.x(input), order, slice)
    const states = this.carried().map(({ before }) => before)
    const saved = [...states.filter((name) => kept.inputs.has(name)), ...kept.values]
    const stacks = this.extendForward(saved)
    saved.forEach((name, i) => back.read(stacks[i]!, fromEnd(this.usual()), name))
    // a Scan is as long as what it reads
    const [first] = this.slices()
    if (back.reads.length === 0 && first !== undefined) back.read(c.x(first.input), first.order, first.slice)
    sums.emit(back)
  }

  /** The direction in which the way back reads what is stacked for it: as it reads the first scan input. */
  private usual(): number {
    return this.reversed('scan_input', 0).direction
  }

  /** Has the forward Scan stack further values. */
  private extendForward(values: readonly string[]): readonly string[] {
    if (values.length === 0) return []
    const { c, graph, body } = this
    const node = c.builder.producer(c.node.outputs.find((name) => name !== '')!)!
    const outputs = graph.outputs.map((_, i) => node.outputs[i] || c.builder.newName('Scan'))
    const added = values.map(() => c.builder.newName('Scan'))
    const own = graph.outputs.slice(this.states)
    const direction = 1 - this.usual()
    const settings = attributes({
      scan_output_axes: [...this.given('scan_output_axes', own.length), ...values.map(() => 0)],
      scan_output_directions: [
        ...this.given('scan_output_directions', own.length),
        ...values.map(() => direction),
      ],
    })
    const extended = withSubgraphs(node, new Map([['body', body.forward(values)]]))
    c.builder.replace(node, {
      ...extended,
      outputs: [...outputs, ...added],
      attributes: new Map([...extended.attributes, ...settings]),
    })
    return added
  }

  private given(which: 'scan_output_axes' | 'scan_output_directions', count: number): number[] {
    return intsAttribute(this.c.node, which) ?? Array.from({ length: count }, () => 0)
  }
}
