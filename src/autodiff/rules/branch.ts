import type { DType } from '../../tensor.js'
import { plainNode } from '../../onnx/plain-node.js'
import { graphAttribute, withSubgraphs } from '../../onnx/subgraph.js'
import { addedUp } from '../driver.js'
import type { VjpContext } from '../rule.js'
import { DifferentiatedBody, withPrologue } from './body.js'

/**
 * If 11: an If on the same condition, whose branches give the cotangents of all values that either captures: zeros for
 * those that a branch does not depend on. What is costly to compute again is a further output of the forward If; the
 * other branch gives any number in its place.
 */
export function branch(c: VjpContext): readonly undefined[] {
  const branches = BRANCHES.map((attribute) => new BranchGradient(c, attribute))
  const captured = branches[0]!.captured.filter((name) => branches.some((one) => one.dependsOn(name)))
  if (captured.length === 0) return [undefined]
  for (const one of branches) one.totals(captured)
  const saved = extendForward(c, branches)
  const bodies = branches.map((one, i) => graphAttribute(BRANCHES[i]!, one.backward(saved[i]!)))
  const found = c.builder.addNode(
    'If',
    [c.x(0)],
    captured.length,
    new Map(bodies.map((body) => [body.name, body])),
  )
  captured.forEach((name, i) => {
    c.accumulate(name, found[i]!)
  })
  return [undefined]
}

const BRANCHES = ['then_branch', 'else_branch'] as const

class BranchGradient {
  readonly body: DifferentiatedBody
  private readonly terms: ReadonlyMap<string, readonly string[]>
  private outputs: readonly string[] = []
  /** Values of the forward branch that the way back reads. */
  kept: readonly string[] = []

  constructor(c: VjpContext, attribute: string) {
    this.body = new DifferentiatedBody(c, c.builder.body(c.node, attribute), false)
    const seeds = this.body.graph.outputs.flatMap(({ name }, k): [string, string][] => {
      const cotangent = c.cotangent(k)
      if (cotangent === undefined) return []
      // of the cotangent is known only what the branches have in common
      this.body.builder.declareLike(cotangent, name)
      return [[name, cotangent]]
    })
    this.terms = this.body.reverse(new Set(), seeds)
  }

  get captured(): readonly string[] {
    return this.body.captured
  }

  dependsOn(captured: string): boolean {
    return this.terms.has(captured)
  }

  /** Writes the cotangents of captured values. */
  totals(captured: readonly string[]): void {
    const { builder } = this.body
    this.outputs = captured.map((name) => {
      const parts = this.terms.get(name)
      return parts === undefined ? builder.zerosLike(name) : addedUp(builder, name, parts)
    })
    this.kept = this.body.kept(this.outputs).values
  }

  dtype(value: string): DType {
    return this.body.builder.dtype(value)
  }

  /** The branch of the way back; `saved` are what the graph around calls the kept values. */
  backward(saved: readonly string[]): ReturnType<typeof withPrologue> {
    const { builder } = this.body
    const inputs = this.kept.map((name) => ({ name, ...builder.info(name) }))
    const found = builder.finishBody(inputs, this.outputs)
    const copies = this.kept.map((name, i) => plainNode('Identity', [saved[i]!], name))
    return withPrologue(found, [], copies)
  }
}

/** Has the forward If give what its branches keep. Gives the names of these outputs, by branch. */
function extendForward(c: VjpContext, branches: readonly BranchGradient[]): (readonly string[])[] {
  const saved = branches.map(({ kept }) => kept.map(() => c.builder.newName('If')))
  if (saved.every((names) => names.length === 0)) return saved
  const node = c.builder.producer(c.node.outputs.find((name) => name !== '')!)!
  const bodies = branches.map((own, i): [string, ReturnType<DifferentiatedBody['forward']>] => {
    const values = branches.flatMap((other) =>
      other.kept.map((value) => (other === own ? value : c.builder.scalar(0, other.dtype(value)))),
    )
    return [BRANCHES[i]!, own.body.forward(values)]
  })
  const extended = withSubgraphs(node, new Map(bodies))
  const outputs = branches[0]!.body.graph.outputs.map((_, i) => node.outputs[i] || c.builder.newName('If'))
  c.builder.replace(node, { ...extended, outputs: [...outputs, ...saved.flat()] })
  return saved
}
