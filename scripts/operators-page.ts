import { TREATMENTS } from '../src/autodiff/rules/table.js'
import type { Treatment } from '../src/autodiff/rule.js'
import { RULE_OPSET } from '../src/onnx/lift.js'
import { NEWEST_OPSET, OLDEST_OPSET } from '../src/onnx/read.js'

function operatorsOf(state: Treatment['state']): string[] {
  return [...TREATMENTS]
    .filter(([, treatment]) => treatment.state === state)
    .map(([op]) => op)
    .sort()
}

function reasonFor(op: string): string {
  const treatment = TREATMENTS.get(op)
  return treatment?.state === 'refused' ? treatment.reason : ''
}

function list(operators: readonly string[]): string {
  return operators.join(', ')
}

/** docs/operators.md: which operators can stand between the parameters and the loss, from the table of rules. */
export function operatorsPage(): string {
  const [ruled, rewritten, constant, refused] = [
    operatorsOf('rule'),
    operatorsOf('rewritten'),
    operatorsOf('zero'),
    operatorsOf('refused'),
  ]
  return `# Operators

What retrograd can differentiate: every operator of ai.onnx, opset ${OLDEST_OPSET} to ${NEWEST_OPSET}, is in one of four states. This page is made from the table of rules (\`src/autodiff/rules/table.ts\`) by \`npm run docs\`.

Graphs older than opset ${RULE_OPSET} are rewritten to it first, so that a rule knows one form of its operator. Only the path from the parameters to the loss is differentiated: an operator before the parameters, behind the loss or beside the path needs no rule.

| state | operators |
|---|---|
| a derivative rule | ${ruled.length} |
| rewritten into other operators first | ${rewritten.length} |
| a derivative of zero | ${constant.length} |
| refused | ${refused.length} |

## With a derivative rule (${ruled.length})

${list(ruled)}

## Rewritten into other operators, which are then differentiated (${rewritten.length})

${list(rewritten)}

## With a derivative of zero (${constant.length})

Constant almost everywhere, or a shape, an index or a truth value: what goes through them carries no gradient.

${list(constant)}

## Refused (${refused.length})

On the path from the parameters to the loss each is refused with a message that names the node and the reason. Off the path it is left as it is.

| operator | reason |
|---|---|
${refused.map((op) => `| ${op} | ${reasonFor(op)} |`).join('\n')}

Operators of other domains than ai.onnx are refused too, unless the model defines them as functions.
`
}
