import { attributes } from './attributes.js'
import type { AttributeValue } from './attributes.js'
import type { Node } from './graph.js'

/** A node of ai.onnx with one output, for graphs that are put together by hand. */
export function plainNode(
  op: string,
  inputs: readonly string[],
  output: string,
  values: Readonly<Record<string, AttributeValue>> = {},
): Node {
  return { name: '', domain: '', op, inputs, outputs: [output], attributes: attributes(values) }
}
