import { intAttribute, intsAttribute } from './attributes.js'
import type { Dim, Graph, NamedValue, Node, Shape, ValueInfo } from './graph.js'
import { normalizeAxis, sameShape } from './shapes/dims.js'

/** What is known around a graph that a node carries. */
export interface Surroundings {
  /** What is known of an input of the node. */
  readonly info: (input: number) => ValueInfo
  /** What follows for the outputs of the carried graph when its inputs are these. */
  readonly outputs: (body: Graph) => readonly ValueInfo[]
  readonly fresh: () => Dim
}

/**
 * The body of a Scan or Loop with what follows for its inputs from the node's: slices of what is scanned, states as
 * they are before every iteration. The graph of any other node is given as it is declared.
 */
export function typedBody(node: Node, body: Graph, around: Surroundings): Graph {
  if (node.domain === '' && node.op === 'Scan') return scanBody(node, body, around)
  if (node.domain === '' && node.op === 'Loop') return loopBody(body, around)
  return withInfos(
    body,
    body.inputs.map(() => UNKNOWN),
    around,
  )
}

const UNKNOWN: ValueInfo = { dtype: undefined, shape: undefined }

/** How many of a Scan's inputs are states; the others are scanned. */
export function scanStates(node: Node): number {
  return node.inputs.length - intAttribute(node, 'num_scan_inputs', 1)
}

/** The axis along which a Scan reads or writes: of its scan inputs or scan outputs, counted from 0 among them. */
export function scanAxis(
  node: Node,
  which: 'scan_input_axes' | 'scan_output_axes',
  index: number,
  rank: number,
): number {
  return normalizeAxis(intsAttribute(node, which)?.[index] ?? 0, rank)
}

/** States keep their shape (Scan 11), so that the first is that of all. */
function scanBody(node: Node, body: Graph, around: Surroundings): Graph {
  const states = scanStates(node)
  const infos = body.inputs.map((_, i): ValueInfo => {
    const { dtype, shape } = around.info(i)
    if (i < states || shape === undefined) return { dtype, shape }
    const axis = scanAxis(node, 'scan_input_axes', i - states, shape.length)
    return { dtype, shape: shape.toSpliced(axis, 1) }
  })
  return withInfos(body, infos, around)
}

/** The values before a Loop's carried ones: iteration number and condition, in the node as in its body. */
export const LOOP_CARRIED = 2

/**
 * A Loop may give its values another shape in every iteration: a size counts as known only where the body gives back
 * what it got. Each size can be lost only once, so that this ends.
 */
function loopBody(body: Graph, around: Surroundings): Graph {
  // the iteration's number and the condition have no axis, or one of size 1 where they are declared so
  const fixed = (['int64', 'bool'] as const).map((dtype, i): ValueInfo => {
    return { dtype, shape: body.inputs[i]?.shape ?? [] }
  })
  let carried = body.inputs.slice(LOOP_CARRIED).map((_, i) => around.info(i + LOOP_CARRIED))
  const lost = new Set<Dim>()
  for (;;) {
    const typed = withInfos(body, [...fixed, ...carried], around)
    const given = around.outputs(typed).slice(1)
    const next = typed.inputs.slice(LOOP_CARRIED).map((before, i) => {
      const after = refined(given[i] ?? UNKNOWN, body.inputs[i + LOOP_CARRIED]!, around.fresh)
      return agreeing(before, after, lost, around.fresh)
    })
    if (next.every((info, i) => unchanged(info, typed.inputs[i + LOOP_CARRIED]!))) return typed
    carried = next.map(({ dtype, shape }) => ({ dtype, shape }))
  }
}

function unchanged(a: ValueInfo, b: ValueInfo): boolean {
  return a.dtype === b.dtype && (a.shape === b.shape || sameShape(a.shape, b.shape))
}

/** What holds of a value both before and after an iteration. */
function agreeing(before: ValueInfo, after: ValueInfo, lost: Set<Dim>, fresh: () => Dim): ValueInfo {
  const dtype = before.dtype ?? after.dtype
  if (before.shape === undefined || after.shape?.length !== before.shape.length)
    return { dtype, shape: undefined }
  const shape = before.shape.map((dim, axis): Dim => {
    if (dim === after.shape![axis] || lost.has(dim)) return dim
    const open = fresh()
    lost.add(open)
    return open
  })
  return { dtype, shape }
}

/** The graph with its inputs' types and shapes as known, or as declared where that says more. */
function withInfos(body: Graph, infos: readonly ValueInfo[], { fresh }: Surroundings): Graph {
  const inputs = body.inputs.map((input, i): NamedValue => ({
    ...input,
    ...refined(infos[i] ?? UNKNOWN, input, fresh),
  }))
  return { ...body, inputs }
}

/** What is known of a value and what its graph declares; the symbols of a declaration have a meaning only there. */
export function refined(known: ValueInfo, declared: ValueInfo, fresh: () => Dim): ValueInfo {
  const dtype = known.dtype ?? declared.dtype
  const dims = (shape: Shape): Shape => shape.map((dim) => (typeof dim === 'number' ? dim : fresh()))
  if (known.shape === undefined) return { dtype, shape: declared.shape && dims(declared.shape) }
  if (declared.shape?.length !== known.shape.length) return { dtype, shape: known.shape }
  const shape = known.shape.map((dim, axis): Dim => {
    const other = declared.shape![axis]!
    return typeof other === 'number' ? other : dim
  })
  return { dtype, shape }
}
