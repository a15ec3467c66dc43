import type { GraphBuilder } from '../../onnx/builder.js'
import type { Node } from '../../onnx/graph.js'
import { normalizeAxis, staticShape } from '../../onnx/shapes/dims.js'
import { END_OF_ANY, sliceBounds } from '../../onnx/shapes/slice.js'
import { RuleRefusal } from '../rule.js'
import type { RewriteContext } from '../rule.js'
import type { ProviderForm } from './provider-forms.js'

/**
 * A Slice that goes backwards: ONNX Runtime 1.30's WebGPU provider begins at the last element whatever the start is
 * (x[3:0:-1] of five elements gives 4, 3, 2). The same elements are taken forwards and then turned round, from the last
 * one on.
 */
export const BACKWARDS_SLICE: ProviderForm = {
  applies: (node, builder) => {
    if ((node.inputs[4] ?? '') === '' || staticShape(builder.shapeOf(node.inputs[0]!)) === undefined)
      return false
    const steps = builder.constantsOf(node.inputs[4]!)
    if (steps === undefined) return true
    if (steps.every((step) => step > 0)) return false
    return cutsOf(node, builder, steps)?.every(isTurnedRound) !== true
  },
  rewrite: (c) => {
    const steps = c.builder.constantsOf(c.x(4))
    const cuts = steps && cutsOf(c.node, c.builder, steps)
    if (cuts === undefined)
      throw new RuleRefusal(
        'ONNX Runtime’s WebGPU provider computes slices backwards only from and to places that are known beforehand; ' +
          'use --device cpu',
      )
    return [turned(c, cuts)]
  },
}

/** What is taken along an axis: `count` elements, `step` apart, from `from` on. */
interface Cut {
  readonly axis: number
  readonly size: number
  readonly from: number
  readonly count: number
  readonly step: number
}

/** Undefined where bounds or axes are not known. */
function cutsOf(node: Node, builder: GraphBuilder, steps: readonly number[]): Cut[] | undefined {
  const shape = staticShape(builder.shapeOf(node.inputs[0]!))!
  const [starts, ends] = [1, 2].map((input) => builder.constantsOf(node.inputs[input]!))
  const axes = (node.inputs[3] ?? '') === '' ? steps.map((_, i) => i) : builder.constantsOf(node.inputs[3]!)
  if (starts === undefined || ends === undefined || axes === undefined) return undefined
  return steps.map((step, i) => {
    const axis = normalizeAxis(axes[i]!, shape.length)
    const size = shape[axis]!
    const [from, to] = sliceBounds(size, starts[i]!, ends[i]!, step)
    return { axis, size, from, count: Math.max(0, Math.ceil((to - from) / step)), step }
  })
}

/** Forwards, or backwards by single elements from the last one on, which the provider computes as it should. */
function isTurnedRound({ size, from, step }: Cut): boolean {
  return step > 0 || (step === -1 && from === size - 1)
}

function turned(c: RewriteContext, cuts: readonly Cut[]): string {
  const { builder } = c
  const slice = (value: string, lists: readonly (readonly number[])[]): string =>
    builder.add('Slice', [value, ...lists.map((list) => builder.integers(list))])
  const first = ({ from, count, step }: Cut): number =>
    step > 0 || count === 0 ? Math.max(0, from) : from + (count - 1) * step
  const forwards = slice(c.x(0), [
    cuts.map(first),
    cuts.map((cut) => first(cut) + (cut.count === 0 ? 0 : (cut.count - 1) * Math.abs(cut.step) + 1)),
    cuts.map(({ axis }) => axis),
    cuts.map(({ step }) => Math.abs(step)),
  ])
  const back = cuts.filter(({ step }) => step < 0).map(({ axis }) => axis)
  return slice(forwards, [back.map(() => -1), back.map(() => -END_OF_ANY), back, back.map(() => -1)])
}
