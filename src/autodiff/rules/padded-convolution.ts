import { intAttribute } from '../../onnx/attributes.js'
import type { GraphBuilder } from '../../onnx/builder.js'
import type { Node } from '../../onnx/graph.js'
import { staticShape } from '../../onnx/shapes/dims.js'
import type { RewriteContext } from '../rule.js'
import type { ProviderForm } from './provider-forms.js'

/**
 * A convolution of 6, 9, 15, ... channels: ONNX Runtime 1.30's WebGPU provider reads three channels at once where their
 * number is divisible by three and not by four, and gives wrong numbers where there are more than three. Channels of
 * zeros make it a multiple of four, which it computes as it should.
 */
export const PADDED_CHANNELS: ProviderForm = {
  applies: (node, builder) => missingChannels(node, builder) > 0,
  rewrite: (c) => {
    const missing = missingChannels(c.node, c.builder)
    const [image, kernel] = [0, 1].map((input) => withChannels(c, c.x(input), missing))
    return c.builder.addNode('Conv', [image!, kernel!, ...c.node.inputs.slice(2)], 1, c.node.attributes)
  },
}

/**
 * A convolution in groups: where a group has four filters or more, the provider computes as many of them at once as divide
 * the number of all filters (four or two), and gives wrong numbers where these do not divide a group's. Filters of zeros
 * make that a multiple of four; what they give is dropped.
 */
export const PADDED_GROUPS: ProviderForm = {
  applies: (node, builder) => {
    const filters = builder.shapeOf(node.inputs[1]!)?.[0]
    const group = intAttribute(node, 'group', 1)
    if (group === 1 || typeof filters !== 'number' || filters / group < 4) return false
    const known = node.inputs.slice(0, 2).every((name) => staticShape(builder.shapeOf(name)) !== undefined)
    return known && (filters / group) % (filters % 4 === 0 ? 4 : filters % 2 === 0 ? 2 : 1) !== 0
  },
  rewrite: (c) => {
    const { builder } = c
    const group = intAttribute(c.node, 'group', 1)
    const [filters, ...size] = staticShape(c.shape(1)) as [number, ...number[]]
    const [own, wide] = [filters / group, 4 * Math.ceil(filters / group / 4)]
    const cut = builder.reshape(c.x(1), [group, own, ...size])
    const pads = Array.from({ length: 2 * (size.length + 2) }, (_, i) =>
      i === size.length + 3 ? wide - own : 0,
    )
    const padded = builder.add('Pad', [cut, builder.integers(pads)])
    const kernel = builder.reshape(padded, [group * wide, ...size])
    const [all] = builder.addNode('Conv', [c.x(0), kernel], 1, c.node.attributes)
    const [batch, , ...places] = staticShape(builder.shapeOf(all!)) as [number, number, ...number[]]
    const apart = builder.reshape(all!, [batch, group, wide, ...places])
    const kept = builder.add('Slice', [apart, ...[[0], [own], [2]].map((list) => builder.integers(list))])
    const y = builder.reshape(kept, [batch, filters, ...places])
    if (c.x(2) === '') return [y]
    return [builder.add('Add', [y, builder.reshape(c.x(2), [filters, ...places.map(() => 1)])])]
  },
}

/** How many channels lack to the next multiple of four, where that matters. */
function missingChannels(node: Node, builder: GraphBuilder): number {
  const channels = builder.shapeOf(node.inputs[1]!)?.[1]
  const ranked = node.inputs.slice(0, 2).every((name) => builder.rank(name) !== undefined)
  if (!ranked || typeof channels !== 'number' || intAttribute(node, 'group', 1) !== 1) return 0
  return channels > 3 && channels % 3 === 0 ? (4 - (channels % 4)) % 4 : 0
}

function withChannels(c: RewriteContext, value: string, missing: number): string {
  const rank = c.builder.rank(value)!
  const pads = Array.from({ length: 2 * rank }, (_, i) => (i === rank + 1 ? missing : 0))
  return c.builder.add('Pad', [value, c.builder.integers(pads)])
}
