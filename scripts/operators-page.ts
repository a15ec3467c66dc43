import { TREATMENTS } from '../src/autodiff/rules/table.js'
import { RULE_OPSET } from '../src/onnx/lift.js'
import { OLDEST_OPSET } from '../src/onnx/read.js'

function operatorsOf(state: 'rule' | 'zero'): string[] {
  return [...TREATMENTS]
    .filter(([, treatment]) => treatment.state === state)
    .map(([op]) => op)
    .sort()
}

function list(operators: readonly string[]): string {
  return operators.map((op) => `- ${op}`).join('\n')
}

/** docs/operators.md: which operators can stand between the parameters and the loss, from the table of rules. */
export function operatorsPage(): string {
  const [ruled, constant] = [operatorsOf('rule'), operatorsOf('zero')]
  return `# Operators

What retrograd can differentiate. This page is made from the table of rules (\`src/autodiff/rules/table.ts\`) by \`npm run docs\`.

Models are read from ai.onnx opset ${OLDEST_OPSET} on. Graphs older than opset ${RULE_OPSET} are rewritten to it first, so that a rule knows one form of its operator. Only the path from the parameters to the loss is differentiated: an operator before the parameters, behind the loss or beside the path needs no rule.

## With a derivative rule (${ruled.length})

${list(ruled)}

Forms that are refused, each with a message that names the node: Dropout with a training_mode input; Conv and AveragePool with auto_pad SAME and a stride on images of symbolic size; AveragePool on such images with ceil_mode, or with padding that is not counted; MaxPool with storage_order 1; reductions over axes that are computed when the graph runs.

## Without a derivative (${constant.length})

Constant almost everywhere, or a shape, an index or a truth value: what goes through them carries no gradient.

${list(constant)}

## Any other operator

On the path from the parameters to the loss it is refused with a message that names the node, the operator and the opset. Off the path it is left as it is.
`
}
