import type { GraphBuilder } from '../onnx/builder.js'
import type { Node } from '../onnx/graph.js'
import { plainNode } from '../onnx/plain-node.js'
import { staticShape } from '../onnx/shapes/dims.js'

/**
 * What a node computes and is known from shapes becomes a constant, so that ONNX Runtime computes what follows from it
 * once (the scale and the mask of attention), and not for every micro-batch.
 *
 * @param node the builder's last node
 */
export function holdKnown(node: Node, builder: GraphBuilder): void {
  const [name = '', ...others] = node.outputs
  if (node.domain !== '' || others.length > 0) return
  if (node.op === 'Reshape') holdTarget(node, builder)
  else holdIntegers(name, node, builder)
}

function holdIntegers(name: string, node: Node, builder: GraphBuilder): void {
  const { dtype, shape } = builder.info(name)
  const [numbers, sizes] = [builder.constantsOf(name), staticShape(shape)]
  if (dtype !== 'int64' || numbers === undefined || sizes === undefined) return
  // the largest int64, which stands for the end of any axis, is no number of JavaScript's
  if (!numbers.every((number) => Number.isSafeInteger(number))) return
  builder.replace(node, plainNode('Identity', [builder.constant('int64', sizes, numbers)], name))
}

/** A Reshape to sizes of which all but one are known, of what was there before other reshapes. */
function holdTarget(node: Node, builder: GraphBuilder): void {
  const [value = ''] = node.inputs
  const shape = builder.shapeOf(node.outputs[0]!)
  if (shape === undefined || shape.includes(0)) return
  if (shape.filter((dim) => typeof dim === 'string').length > 1) return
  const sizes = builder.integers(shape.map((dim) => (typeof dim === 'number' ? dim : -1)))
  builder.replace(node, { ...node, inputs: [builder.beforeReshapes(value), sizes] })
}
