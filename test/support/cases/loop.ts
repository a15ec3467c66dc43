import type { Graph } from '../../../src/onnx/graph.js'
import { input, node, tensor } from '../graphs.js'
import { bools, ints, omitted, real, runtime } from '../operator-case.js'
import type { Operand, OperatorCase } from '../operator-case.js'
import { bodyOf, carrying, loopBody } from './bodies.js'

const small = { low: -0.7, high: 0.7 }

/** `v = sin(v W) + v`, stacked too; goes on as long as it was told to. */
function recurrence([w]: readonly string[]): Graph {
  return loopBody(
    ['i', 'go', 'v'],
    ['go_on', 'v_next', 'square'],
    [
      node('Identity', ['go'], 'go_on'),
      node('MatMul', ['v', w!], 'vw'),
      node('Sin', ['vw'], 's'),
      node('Add', ['s', 'v'], 'v_next'),
      node('Mul', ['v', 'v'], 'square'),
    ],
  )
}

const times = (count: number): Operand => ints([count], [])
const always = bools([1], [])
const matrix = real([3, 3], small)
const state = real([2, 3], small)
const symbolic = real([2, 3], { ...small, as: ['N', 'C'] })

function recurrences(
  title: string,
  inputs: readonly Operand[],
  more: Partial<OperatorCase> = {},
): OperatorCase {
  return {
    title,
    op: 'Loop',
    inputs,
    captures: [matrix],
    graphs: (names) => ({ body: recurrence(names.slice(inputs.length)) }),
    outputs: 2,
    ...more,
  }
}

/** Stops when the sum of the carried values reaches 3. */
function untilLarge(): Graph {
  return loopBody(
    ['i', 'go', 'v'],
    ['go_on', 'v_next'],
    [
      node('Mul', ['v', 'growth'], 'v_next'),
      node('ReduceSum', ['v_next'], 'total', { keepdims: 0 }),
      node('Less', ['total', 'limit'], 'go_on'),
    ],
    { growth: tensor('float64', [], [1.5]), limit: tensor('float64', [], [3]) },
  )
}

/** Reads the iteration's number: `v = v * w[i] + i`. */
function numbered([w]: readonly string[]): Graph {
  return loopBody(
    ['i', 'go', 'v'],
    ['go_on', 'v_next'],
    [
      node('Identity', ['go'], 'go_on'),
      node('Gather', [w!, 'i'], 'w_i'),
      node('Cast', ['i'], 'number', { to: 11 }),
      node('Mul', ['v', 'w_i'], 'vw'),
      node('Mul', ['vw', 'number'], 'vwi'),
      node('Add', ['vwi', 'v'], 'v_next'),
    ],
  )
}

/** What a Scan gives must have a shape where it stands in a Loop (ONNX Runtime). */
function rowsOf(): Graph {
  const nodes = [
    node('Mul', ['s', 'row'], 'p'),
    node('Tanh', ['p'], 't'),
    node('Add', ['t', 's'], 's_next'),
    node('Exp', ['p'], 'out'),
  ]
  const graph = bodyOf(['s', 'row'], ['s_next', 'out'], nodes)
  return { ...graph, outputs: graph.outputs.map(({ name }) => input(name, [3], 'float64')) }
}

/** A loop in a loop, with a scan of the rows of a captured matrix in its turn. */
function nested([w]: readonly string[]): Graph {
  const inner = loopBody(
    ['j', 'go2', 'u'],
    ['go_on2', 'u_next'],
    [
      node('Identity', ['go2'], 'go_on2'),
      carrying(node('Scan', ['u', w!], ['u_end', 'rows'], { num_scan_inputs: 1 }), {
        body: rowsOf(),
      }),
      node('ReduceMean', ['rows', 'first'], 'mean', { keepdims: 0 }),
      node('Mul', ['u_end', 'mean'], 'um'),
      node('Tanh', ['um'], 'u_next'),
    ],
    { first: tensor('int64', [1], [0]) },
  )
  return loopBody(
    ['i', 'go', 'v'],
    ['go_on', 'v_next', 'seen'],
    [
      node('Identity', ['go'], 'go_on'),
      carrying(node('Loop', ['two', '', 'v'], ['v_inner']), { body: inner }),
      node('Add', ['v_inner', 'v'], 'v_next'),
      node('Mul', ['v_inner', 'v'], 'seen'),
    ],
    { two: tensor('int64', [], [2]) },
  )
}

export const LOOP_CASES: readonly OperatorCase[] = [
  recurrences('of a known number of iterations', [times(3), omitted, state]),
  recurrences('of symbolic sizes, with number and condition', [times(3), always, symbolic]),
  recurrences('whose number of iterations is known only when it runs', [runtime([4]), omitted, symbolic]),
  recurrences('without an iteration', [times(0), always, state]),
  recurrences('of symbolic sizes without an iteration', [runtime([0]), omitted, symbolic], { unused: [1] }),
  recurrences('whose condition is false at the start', [times(3), bools([0], []), state]),
  recurrences('of which only the stacked values count', [times(3), omitted, symbolic], { unused: [0] }),
  recurrences('of which only the carried value counts', [times(3), omitted, symbolic], { unused: [1] }),
  {
    title: 'until a condition on what it carries',
    op: 'Loop',
    inputs: [omitted, always, real([3], { low: 0.1, high: 0.3 })],
    graphs: () => ({ body: untilLarge() }),
  },
  {
    title: 'that reads the number of the iteration',
    op: 'Loop',
    inputs: [times(4), omitted, real([3])],
    captures: [real([5, 3], small)],
    graphs: (names) => ({ body: numbered(names.slice(3)) }),
  },
  {
    title: 'that carries nothing',
    op: 'Loop',
    inputs: [times(3), omitted],
    captures: [real([3])],
    graphs: (names) => ({
      body: loopBody(
        ['i', 'go'],
        ['go_on', 'y'],
        [
          node('Identity', ['go'], 'go_on'),
          node('Cast', ['i'], 'number', { to: 11 }),
          node('Mul', [names[2]!, 'number'], 'wi'),
          node('Exp', ['wi'], 'y'),
        ],
      ),
    }),
  },
  {
    title: 'with a loop and a scan inside',
    op: 'Loop',
    inputs: [times(2), omitted, real([3], small)],
    captures: [real([2, 3], small)],
    graphs: (names) => ({ body: nested(names.slice(3)) }),
    outputs: 2,
  },
  {
    title: 'with a choice inside',
    op: 'Loop',
    inputs: [times(4), omitted, real([3], small)],
    captures: [real([3]), real([3])],
    graphs: (names) => ({
      body: loopBody(
        ['i', 'go', 'v'],
        ['go_on', 'v_next'],
        [
          node('Identity', ['go'], 'go_on'),
          node('Mod', ['i', 'two'], 'odd'),
          node('Equal', ['odd', 'zero'], 'even'),
          carrying(node('If', ['even'], ['v_next']), {
            then_branch: bodyOf([], ['a'], [node('Mul', ['v', names[3]!], 'a0'), node('Tanh', ['a0'], 'a')]),
            else_branch: bodyOf([], ['b'], [node('Add', ['v', names[4]!], 'b0'), node('Sin', ['b0'], 'b')]),
          }),
        ],
        { two: tensor('int64', [], [2]), zero: tensor('int64', [], [0]) },
      ),
    }),
  },
  {
    title: 'whose carried value grows, read linearly',
    op: 'Loop',
    inputs: [times(3), omitted, real([2, 3])],
    captures: [real([1, 3])],
    graphs: (names) => ({
      body: loopBody(
        ['i', 'go', 'v'],
        ['go_on', 'v_next'],
        [node('Identity', ['go'], 'go_on'), node('Concat', ['v', names[3]!], 'v_next', { axis: 0 })],
      ),
    }),
  },
  {
    title: 'whose carried value is broadcast in the first iteration',
    op: 'Loop',
    inputs: [times(3), omitted, real([1, 3])],
    captures: [real([2, 3], { as: ['N', 3] })],
    graphs: (names) => ({
      body: loopBody(
        ['i', 'go', 'v'],
        ['go_on', 'v_next'],
        [node('Identity', ['go'], 'go_on'), node('Add', ['v', names[3]!], 'v_next')],
      ),
    }),
  },
]
