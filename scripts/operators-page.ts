import { readFileSync } from 'node:fs'
import { TREATMENTS } from '../src/autodiff/rules/table.js'
import type { Treatment } from '../src/autodiff/rule.js'
import { CONSTANT_BECAUSE } from '../src/autodiff/rules/without-derivative.js'
import { RULE_OPSET } from '../src/onnx/lift.js'
import { NEWEST_OPSET, OLDEST_OPSET } from '../src/onnx/read.js'
import { FOLLOWED, REMARKS } from './operator-remarks.js'

/** Versions of every operator, from the onnx package (scripts/make-fixtures/operator-list.py). */
const { operators } = JSON.parse(readFileSync('fixtures/onnx/operators.json', 'utf8')) as {
  readonly operators: Readonly<Record<string, { readonly versions: readonly number[] }>>
}

type State = Treatment['state'] | 'followed'

/** How the page names the states, and what they mean. */
const STATES: Readonly<Record<State, string>> = {
  rule: 'A formula gives the gradient (the vector-Jacobian product), in operators that every execution provider runs.',
  rewritten: 'Replaced by other operators before the graph is differentiated, to the same result.',
  followed:
    'Makes a sequence or an optional value. What it holds is followed to the nodes that take tensors out of it, which are rewritten; ' +
    'refused where that can be known only when the graph runs.',
  zero: 'Constant almost everywhere, or no real number: what goes through it carries no gradient.',
  refused: 'Between the parameters and the loss it is refused with the reason.',
}

function stateOf(op: string, { state }: Treatment): State {
  return FOLLOWED.has(op) && state === 'refused' ? 'followed' : state
}

function remarkOf(op: string, treatment: Treatment): string {
  const own = REMARKS[op]
  if (own !== undefined) return own
  if (treatment.state === 'refused') return treatment.reason
  const [reason] = Object.entries(CONSTANT_BECAUSE).find(([, list]) => list.split(' ').includes(op)) ?? ['']
  return reason
}

/** Versions of an operator that models of these opsets may use; a deprecated one has none. */
function versionsOf(op: string): string {
  return operators[op]?.versions.join(', ') ?? 'deprecated'
}

/** docs/operators.md: which operators can stand between the parameters and the loss, from the table of rules. */
export function operatorsPage(): string {
  const all = [...TREATMENTS]
    .map(([op, treatment]) => ({ op, state: stateOf(op, treatment), remark: remarkOf(op, treatment) }))
    .sort((a, b) => (a.op < b.op ? -1 : 1))
  const states = (Object.keys(STATES) as State[]).filter((state) => all.some((one) => one.state === state))
  const counts = states.map((state) => {
    const count = all.filter((one) => one.state === state).length
    return `| ${state} | ${count} | ${STATES[state]} |`
  })
  const rows = all.map(({ op, state, remark }) => `| ${op} | ${state} | ${versionsOf(op)} | ${remark} |`)
  return `# Operators

What retrograd can differentiate: every operator of ai.onnx in opsets ${OLDEST_OPSET} to ${NEWEST_OPSET}, ${all.length} in all. This page is made from the table of rules (\`src/autodiff/rules/table.ts\`) by \`npm run docs\`.

| state | operators | meaning |
|---|---|---|
${counts.join('\n')}

Only the path from the parameters to the loss is differentiated: an operator before the parameters, behind the loss or beside the path needs no rule. What is refused is refused before anything is computed, with a message that names the node and the reason.

Graphs older than opset ${RULE_OPSET} are rewritten to it first, newer ones stay as they are. Shapes may be known or symbols, unless the remark says what must be known. Functions that a model defines itself are replaced by what they are made of; operators of other domains than ai.onnx are refused.

Every rule is compared with central differences of the forward pass in ONNX Runtime, on cases of our own (\`test/autodiff/operators.test.ts\`) and on those of ONNX's own tests that ONNX Runtime runs (\`test/autodiff/node-tests.test.ts\`); conventions at ties and kinks are compared with PyTorch (\`test/autodiff/pytorch.test.ts\`).

Versions are the opsets in which the operator's definition changed, as far as models of opset ${OLDEST_OPSET} to ${NEWEST_OPSET} use it.

| operator | state | versions | remark |
|---|---|---|---|
${rows.join('\n')}
`
}
