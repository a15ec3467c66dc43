import { LOOP_CARRIED } from '../../onnx/body.js'
import { GraphBuilder } from '../../onnx/builder.js'
import type { Graph, Node, Shape } from '../../onnx/graph.js'
import { plainNode } from '../../onnx/plain-node.js'
import { graphAttribute, withSubgraphs } from '../../onnx/subgraph.js'
import { formatShape } from '../../tensor.js'
import { addedUp } from '../driver.js'
import { RuleRefusal } from '../rule.js'
import type { VjpContext } from '../rule.js'
import { DifferentiatedBody, withPrologue } from './body.js'
import type { Carried } from './body.js'

/**
 * Loop 11: a Loop over the same iterations, last first, that carries the cotangents of the carried values and a sum for
 * every value that the body captures. Its body computes again what is cheap and reads what is not (and the carried
 * values before every iteration) from further outputs of the forward Loop. Not a Scan, of which ONNX Runtime refuses
 * one without iterations, and whose states can't change their shape.
 */
export function loop(c: VjpContext): readonly (string | undefined)[] {
  return new LoopGradient(c).cotangents()
}

/** A value that the Loop of the way back carries. */
interface State {
  readonly initial: string
  readonly value: string
  readonly next: string
}

class LoopGradient {
  private readonly graph: Graph
  private readonly body: DifferentiatedBody
  private readonly inner: GraphBuilder
  /** The iteration that is gone back through, counted from 0. */
  private readonly iteration: string

  constructor(private readonly c: VjpContext) {
    this.graph = c.builder.body(c.node, 'body')
    this.body = new DifferentiatedBody(c, this.graph, true)
    this.inner = this.body.builder
    this.iteration = this.inner.input({ dtype: 'int64', shape: [] })
  }

  cotangents(): readonly (string | undefined)[] {
    const { c, body, inner } = this
    const carried = this.reachedStates()
    // a value may have another shape behind an iteration than before it
    const backwards = carried.map(({ after }) => inner.input(inner.info(after)))
    const terms = body.reverse(this.active(), [
      ...carried.map(({ after }, i) => [after, backwards[i]!] as const),
      ...this.outputCotangents(),
    ])
    const states = carried.map(({ before, index }, i): State => {
      const parts = terms.get(before)
      return {
        initial: c.cotangent(index) ?? c.builder.zerosLike(c.y(index)),
        value: backwards[i]!,
        next: parts === undefined ? inner.zerosLike(before) : addedUp(inner, before, parts),
      }
    })
    const captured = body.captured.filter((name) => terms.has(name))
    const sums = captured.map((name) => this.sum(name, terms.get(name)!))
    if (states.length + sums.length === 0) return []
    const found = this.backward([...states, ...sums])
    captured.forEach((name, i) => {
      c.accumulate(name, found[states.length + i]!)
    })
    const results = new Map(carried.map(({ index }, i) => [index + LOOP_CARRIED, found[i]!]))
    return c.node.inputs.map((_, input) => results.get(input))
  }

  private sum(captured: string, terms: readonly string[]): State {
    const { c, inner } = this
    const value = inner.input(inner.info(captured))
    return {
      initial: c.builder.zerosLike(captured),
      value,
      next: addedUp(inner, captured, [value, ...terms]),
    }
  }

  private carried(): (Carried & { readonly index: number })[] {
    return this.graph.inputs
      .slice(LOOP_CARRIED)
      .map(({ name }, index) => ({ index, before: name, after: this.graph.outputs[index + 1]!.name }))
  }

  private active(): ReadonlySet<string> {
    const { c, body } = this
    const wanted = this.graph.inputs.slice(LOOP_CARRIED).filter((_, i) => c.needs(i + LOOP_CARRIED))
    return body.activeInputs(
      wanted.map(({ name }) => name),
      this.carried(),
    )
  }

  private reachedStates(): ReturnType<LoopGradient['carried']> {
    const { c, body, inner } = this
    const seeds = this.graph.outputs.slice(1).filter((_, i) => c.cotangent(i) !== undefined)
    const reached = body.reached(
      this.active(),
      seeds.map(({ name }) => name),
      this.carried(),
    )
    const states = this.carried().filter(({ before }) => reached.has(before))
    const other = states.find(({ before }) => inner.info(before).dtype === undefined)
    if (other !== undefined)
      throw new RuleRefusal(
        `it carries '${other.before}' from iteration to iteration, which is not known to be a tensor of real numbers ` +
          `(sequences are followed only outside of loops)`,
      )
    return states
  }

  /** The cotangents of the scan outputs in the iteration that is gone back through. */
  private outputCotangents(): (readonly [output: string, cotangent: string])[] {
    const states = this.graph.inputs.length - LOOP_CARRIED
    return this.graph.outputs.slice(1 + states).flatMap(({ name }, k) => {
      const cotangent = this.c.cotangent(states + k)
      if (cotangent === undefined) return []
      const slice = this.inner.add('Gather', [cotangent, this.iteration], { axis: 0 })
      this.inner.declareLike(slice, name)
      return [[name, slice] as const]
    })
  }

  private backward(states: readonly State[]): readonly string[] {
    const { c, inner, graph } = this
    const [number, condition] = graph.inputs.map(({ name }) => name) as [string, string]
    const kept = this.body.kept(states.map(({ next }) => next))
    const before = this.carried().filter((state) => kept.inputs.has(state.before))
    for (const state of before) this.assertConstantShape(state)
    const saved = [...before.map((state) => state.before), ...kept.values]
    // the iteration numbers are as many as there are iterations, and stacked by any Loop
    const [numbers, ...stacks] = this.extendForward([number, ...saved])
    const count = c.builder.add('Size', [numbers!])
    const last = c.builder.add('Sub', [count, c.builder.scalar(1, 'int64')])
    const given = [...saved, this.iteration, number, condition].map((name) => ({ name, ...inner.info(name) }))
    const carried = states.map(({ value }) => ({ name: value, ...inner.info(value) }))
    const found = inner.finishBody(
      [...given, ...carried],
      [c.builder.constant('bool', [], [1]), ...states.map(({ next }) => next)],
    )
    const own = { name: inner.newName('input'), dtype: 'int64', shape: [] } as const
    const goesOn = { ...inner.info(condition), name: inner.newName('input') }
    const prologue: Node[] = [
      plainNode('Sub', [last, own.name], this.iteration),
      ...this.ownInputs(kept.inputs, number, condition, goesOn.name),
      ...saved.map((name, i) => plainNode('Gather', [stacks[i]!, this.iteration], name)),
    ]
    const graphBack = withPrologue(found, [own, goesOn, ...carried], prologue)
    return c.builder.addNode(
      'Loop',
      [count, '', ...states.map(({ initial }) => initial)],
      states.length,
      new Map([['body', graphAttribute('body', graphBack)]]),
    )
  }

  /** The iteration's number and the condition as the body of the forward Loop has them. */
  private ownInputs(read: ReadonlySet<string>, number: string, condition: string, goesOn: string): Node[] {
    const { inner, c } = this
    const one = inner.rank(number) === 1
    const same = one
      ? plainNode('Unsqueeze', [this.iteration, c.builder.integers([0])], number)
      : plainNode('Identity', [this.iteration], number)
    return [
      ...(read.has(number) ? [same] : []),
      ...(read.has(condition) ? [plainNode('Identity', [goesOn], condition)] : []),
    ]
  }

  /** Values of unlike shapes can't be stacked. Where that shows only when the graph runs, ONNX Runtime refuses them. */
  private assertConstantShape({ before, after, index }: ReturnType<LoopGradient['carried']>[number]): void {
    const { c, graph } = this
    const inputs = graph.inputs.map((own, i) => ({
      ...own,
      ...(i >= LOOP_CARRIED && c.builder.info(c.x(i))),
    }))
    const first = c.builder.shapeOf(c.x(index + LOOP_CARRIED))
    const second = new GraphBuilder({ ...graph, inputs }, c.builder).shapeOf(after)
    if (first !== undefined && second !== undefined && differ(first, second))
      throw new RuleRefusal(
        `the shape of '${before}' changes from iteration to iteration (${formatShape(first)}, then ${formatShape(second)}), ` +
          `and its derivative needs all of them`,
      )
  }

  /** Has the forward Loop stack further values. */
  private extendForward(values: readonly string[]): readonly string[] {
    const { c, graph, body } = this
    const node = c.builder.producer(c.node.outputs.find((name) => name !== '')!)!
    const outputs = graph.outputs.slice(1).map((_, i) => node.outputs[i] || c.builder.newName('Loop'))
    const added = values.map(() => c.builder.newName('Loop'))
    const extended = withSubgraphs(node, new Map([['body', body.forward(values)]]))
    c.builder.replace(node, { ...extended, outputs: [...outputs, ...added] })
    return added
  }
}

/** Whether two shapes can't be the same. */
function differ(a: Shape, b: Shape): boolean {
  const unlike = a.some((dim, axis) => {
    const other = b[axis]
    return typeof dim === 'number' && typeof other === 'number' && dim !== other
  })
  return a.length !== b.length || unlike
}
