import type { Graph } from '../../../src/onnx/graph.js'
import { node, tensor } from '../graphs.js'
import { bools, real } from '../operator-case.js'
import type { OperatorCase } from '../operator-case.js'
import { bodyOf, carrying, loopBody } from './bodies.js'

type Graphs = Readonly<Record<string, Graph>>

const yes = bools([1], [])
const no = bools([0], [])

/** tanh(a b) c or exp(b), both twice. */
function unlike([a, b, c]: readonly string[]): Graphs {
  return {
    then_branch: bodyOf(
      [],
      ['p', 'q'],
      [
        node('MatMul', [a!, b!], 'ab'),
        node('Tanh', ['ab'], 't'),
        node('Mul', ['t', c!], 'p'),
        node('Add', ['t', 'p'], 'q'),
      ],
    ),
    else_branch: bodyOf([], ['r', 's'], [node('Exp', [b!], 'r'), node('Neg', ['r'], 's')]),
  }
}

const operands = [real([2, 3], { as: ['N', 3] }), real([3, 4]), real([])]

/** A choice in a choice. */
function nested([a, b]: readonly string[]): Graphs {
  const inner = carrying(node('If', ['second'], ['i']), {
    then_branch: bodyOf([], ['j'], [node('Mul', [a!, 'h'], 'j')]),
    else_branch: bodyOf([], ['k'], [node('Sin', [b!], 'k')]),
  })
  return {
    then_branch: bodyOf([], ['o'], [node('Exp', [b!], 'h'), inner, node('Mul', ['i', a!], 'o')], {
      second: tensor('bool', [], [1]),
    }),
    else_branch: bodyOf([], ['u'], [node('Identity', [a!], 'u')]),
  }
}

/** What PyTorch's older exporter writes for a squeeze: one branch drops an axis of size 1, the other keeps it. */
function squeezed([a]: readonly string[]): Graphs {
  return {
    then_branch: bodyOf([], ['s'], [node('Exp', [a!], 'e'), node('Squeeze', ['e', 'axis'], 's')], {
      axis: tensor('int64', [1], [1]),
    }),
    else_branch: bodyOf([], ['k'], [node('Sin', [a!], 'k')]),
  }
}

export const BRANCH_CASES: readonly OperatorCase[] = [
  ...[yes, no].flatMap((condition, i): OperatorCase[] => [
    {
      title: `of branches with unlike shapes, ${i === 0 ? 'taken' : 'not taken'}`,
      op: 'If',
      inputs: [condition],
      captures: operands,
      graphs: (names) => unlike(names.slice(1)),
      outputs: 2,
    },
    {
      title: `of which one output counts, ${i === 0 ? 'taken' : 'not taken'}`,
      op: 'If',
      inputs: [condition],
      captures: operands,
      graphs: (names) => unlike(names.slice(1)),
      outputs: 2,
      unused: [0],
    },
    {
      title: `with a choice inside, ${i === 0 ? 'taken' : 'not taken'}`,
      op: 'If',
      inputs: [condition],
      captures: [real([3]), real([3])],
      graphs: (names) => nested(names.slice(1)),
    },
    {
      title: `of a constant and a captured value, ${i === 0 ? 'taken' : 'not taken'}`,
      op: 'If',
      inputs: [condition],
      captures: [real([2, 3])],
      graphs: (names) => ({
        then_branch: bodyOf([], ['k'], [], { k: tensor('float64', [2], [1, 2]) }),
        else_branch: bodyOf([], ['e'], [node('Exp', [names[1]!], 'e')]),
      }),
    },
  ]),
  {
    title: 'with a loop inside, which captures from both graphs around it',
    op: 'If',
    inputs: [yes],
    captures: [real([2, 3], { as: ['N', 3] }), real([3])],
    graphs: (names) => ({
      then_branch: bodyOf(
        [],
        ['end'],
        [
          node('Sin', [names[2]!], 'factor'),
          carrying(node('Loop', ['three', '', names[1]!], ['end']), {
            body: loopBody(
              ['i', 'go', 'v'],
              ['go_on', 'v_next'],
              [
                node('Identity', ['go'], 'go_on'),
                node('Mul', ['v', 'factor'], 'vf'),
                node('Tanh', ['vf'], 't'),
                node('Add', ['t', names[2]!], 'v_next'),
              ],
            ),
          }),
        ],
        { three: tensor('int64', [], [3]) },
      ),
      else_branch: bodyOf([], ['other'], [node('Exp', [names[1]!], 'other')]),
    }),
  },
  ...[yes, no].map((condition, i): OperatorCase => ({
    title: `of branches with unlike ranks, ${i === 0 ? 'taken' : 'not taken'}`,
    op: 'If',
    inputs: [condition],
    captures: [real([2, 1, 3], { as: ['N', 1, 3] })],
    graphs: (names) => squeezed(names.slice(1)),
  })),
]
