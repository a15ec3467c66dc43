import { describeNode } from '../onnx/graph.js'
import type { GraphBuilder } from '../onnx/builder.js'
import type { Shape } from '../onnx/graph.js'
import { RuleRefusal } from './rule.js'

/** Why the shape of a value is not known: the node where inference first lost it, or the input that declares none. */
export function reasonForUnknownShape(builder: GraphBuilder, value: string): string {
  for (let lost = value; ;) {
    const producer = builder.producer(lost)
    if (producer === undefined) return `'${lost}' is declared without a shape`
    const before = producer.inputs.find((name) => name !== '' && builder.shapeOf(name) === undefined)
    if (before === undefined) return `the output of node ${describeNode(producer)} can't be inferred`
    lost = before
  }
}

/** A value's shape, whose sizes may be symbols. Throws RuleRefusal where not even its rank is known. */
export function knownShape(builder: GraphBuilder, value: string): Shape {
  const shape = builder.shapeOf(value)
  if (shape === undefined)
    throw new RuleRefusal(`the rank of '${value}' is not known (${reasonForUnknownShape(builder, value)})`)
  return shape
}
