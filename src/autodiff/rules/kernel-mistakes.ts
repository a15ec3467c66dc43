/**
 * Operators that ONNX Runtime 1.30's WebGPU provider takes and then computes wrongly, or fails to compute when they
 * run: found by comparing all operator cases of the tests with the CPU's provider. What depends on sizes is seen when
 * they are known (device-graph.ts).
 */
import { intAttribute, intsAttribute, stringAttribute } from '../../onnx/attributes.js'
import type { GraphBuilder } from '../../onnx/builder.js'
import type { Node } from '../../onnx/graph.js'
import { normalizeAxis, sameShape, staticShape } from '../../onnx/shapes/dims.js'
import { RuleRefusal } from '../rule.js'
import type { RewriteContext } from '../rule.js'
import { BACKWARDS_SLICE } from './backwards-slice.js'
import type { ProviderForm } from './provider-forms.js'

export const KERNEL_MISTAKES: Readonly<Record<string, ProviderForm>> = {
  // groups of several channels in and one out give wrong numbers; more than two image axes fail
  ConvTranspose: {
    applies: (node, builder) => imageAxes(node, builder) > 2 || isWrongGroup(node, builder),
    rewrite: (c) => {
      if (imageAxes(c.node, c.builder) > 2)
        throw new RuleRefusal(
          'ONNX Runtime’s WebGPU provider computes transposed convolutions, and with them gradients of convolutions, ' +
            'of one or two image axes only; use --device cpu',
        )
      return [inTwoChannels(c)]
    },
  },
  Slice: BACKWARDS_SLICE,
  // operands that are repeated along an axis in the middle fail
  Pow: {
    applies: (node, builder) => {
      const [base, exponent] = node.inputs.map((name) => staticShape(builder.shapeOf(name)))
      if (base === undefined || exponent === undefined) return false
      return !sameShape(base, exponent) && exponent.length > 0
    },
    rewrite: (c) => {
      const { builder } = c
      const base = builder.add('Expand', [c.x(0), builder.shape(c.x(1))])
      return [builder.add('Pow', [base, builder.expandLike(c.x(1), base)])]
    },
  },
  // mode wrap gives wrong numbers; padding of some axes is lost when the layout of images is changed around it
  Pad: {
    applies: (node, builder) => {
      if (stringAttribute(node, 'mode', 'constant') === 'wrap') return true
      const known = [1, 3].every((input) => builder.constantsOf(node.inputs[input] ?? '') !== undefined)
      return known && builder.rank(node.inputs[0]!) !== undefined
    },
    rewrite: (c) => {
      if (stringAttribute(c.node, 'mode', 'constant') === 'wrap') throw wrongly('Pad with mode wrap')
      const { builder, node } = c
      const [pads, axes, rank] = [
        builder.constantsOf(c.x(1))!,
        builder.constantsOf(c.x(3))!,
        c.shape(0).length,
      ]
      const all = Array.from({ length: 2 * rank }, () => 0)
      axes.forEach((axis, i) => {
        all[normalizeAxis(axis, rank)] = pads[i]!
        all[normalizeAxis(axis, rank) + rank] = pads[i + axes.length]!
      })
      return builder.addNode('Pad', [c.x(0), builder.integers(all), c.x(2)], 1, node.attributes)
    },
  },
  // channels last, linearly: it takes the first two axes for batch and channels
  Resize: {
    applies: (node, builder) => isChannelsLast(node, builder),
    rewrite: () => {
      throw wrongly('Resize of images with channels last, mode linear,')
    },
  },
  LayerNormalization: wholeScales(-1),
  RMSNormalization: wholeScales(-1),
  ReduceL1: unreduced((builder, x) => builder.add('Abs', [x])),
  ReduceL2: unreduced((builder, x) => builder.add('Abs', [x])),
  ReduceSumSquare: unreduced((builder, x) => builder.mul(x, x)),
  ReduceLogSum: unreduced((builder, x) => builder.add('Log', [x])),
}

function wrongly(what: string): RuleRefusal {
  return new RuleRefusal(`ONNX Runtime’s WebGPU provider computes ${what} wrongly; use --device cpu`)
}

/** Whether a Resize of four axes changes the second and not the last. */
function isChannelsLast(node: Node, builder: GraphBuilder): boolean {
  const shape = builder.shapeOf(node.inputs[0]!)
  if (stringAttribute(node, 'mode', 'nearest') !== 'linear' || shape?.length !== 4) return false
  const axes = (intsAttribute(node, 'axes') ?? [0, 1, 2, 3]).map((axis) => normalizeAxis(axis, 4))
  const [scales, sizes] = [builder.realsOf(node.inputs[2] ?? ''), builder.constantsOf(node.inputs[3] ?? '')]
  const changes = (axis: number): boolean => {
    const at = axes.indexOf(axis)
    if (at < 0) return false
    return scales?.[at] === undefined ? sizes?.[at] !== shape[axis] : scales[at] !== 1
  }
  return changes(1) && !changes(3)
}

function imageAxes(node: Node, builder: GraphBuilder): number {
  return (builder.rank(node.inputs[1]!) ?? builder.rank(node.inputs[0]!) ?? 2) - 2
}

function isWrongGroup(node: Node, builder: GraphBuilder): boolean {
  const group = intAttribute(node, 'group', 1)
  const [channels, filters] = builder.shapeOf(node.inputs[1]!) ?? []
  return group > 1 && filters === 1 && channels !== group
}

/** A second channel of zeros in every group, which is dropped again. */
function inTwoChannels(c: RewriteContext): string {
  const { builder } = c
  const group = intAttribute(c.node, 'group', 1)
  const kernels = builder.add('Concat', [c.x(1), builder.zerosLike(c.x(1))], { axis: 1 })
  const [pairs] = builder.addNode('ConvTranspose', [c.x(0), kernels], 1, c.node.attributes)
  const rank = imageAxes(c.node, builder) + 2
  // channels 0, 2, 4, ...
  const kept = builder.integers(Array.from({ length: group }, (_, i) => 2 * i))
  const y = builder.add('Gather', [pairs!, kept], { axis: 1 })
  if (c.x(2) === '') return y
  const bias = builder.reshape(c.x(2), [group, ...Array.from({ length: rank - 2 }, () => 1)])
  return builder.add('Add', [y, bias])
}

/** A normalization whose scale and shift are not of the shape of what is normalized: they follow it. */
function wholeScales(lastAxis: number): ProviderForm {
  const normalized = (node: Node, builder: GraphBuilder) => {
    const shape = staticShape(builder.shapeOf(node.inputs[0]!))
    return shape?.slice(normalizeAxis(intAttribute(node, 'axis', lastAxis), shape.length))
  }
  return {
    applies: (node, builder) => {
      const shape = normalized(node, builder)
      return (
        shape !== undefined &&
        node.inputs.slice(1).some((name) => name !== '' && !sameShape(builder.shapeOf(name), shape))
      )
    },
    rewrite: (c) => {
      const { builder, node } = c
      const rank = c.shape(0).length
      const axis = normalizeAxis(intAttribute(node, 'axis', lastAxis), rank)
      const axes = Array.from({ length: rank - axis }, (_, i) => axis + i)
      const ones = builder.add('Expand', [
        builder.scalar(1, builder.dtype(c.x(0))),
        builder.sizes(c.x(0), axes),
      ])
      const [plain, ...others] = builder.addNode(
        node.op,
        [c.x(0), ones],
        node.outputs.length,
        node.attributes,
      )
      const scaled = builder.mul(plain!, c.x(1))
      return [c.x(2) === '' ? scaled : builder.add('Add', [scaled, c.x(2)]), ...others]
    },
  }
}

/** Of a reduction over no axes (noop_with_empty_axes) what it does to single elements is left out. */
function unreduced(formula: (builder: GraphBuilder, x: string) => string): ProviderForm {
  return {
    applies: (node, builder) => {
      const axes = node.inputs[1] ?? ''
      return (
        intAttribute(node, 'noop_with_empty_axes', 0) === 1 &&
        (axes === '' || builder.constantsOf(axes)?.length === 0)
      )
    },
    rewrite: (c) => [formula(c.builder, c.x(0))],
  }
}
