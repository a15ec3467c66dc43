import { intAttribute, stringAttribute } from '../attributes.js'
import { LOOP_CARRIED, scanAxis, scanStates } from '../body.js'
import type { Dim, Shape, ValueInfo } from '../graph.js'
import type { NodeView } from '../infer.js'
import type { ShapeRule } from './rule.js'

/** States keep their shape; what the body gives for a slice is stacked along an axis (Scan 11). */
const scan: ShapeRule = (view) => {
  const states = scanStates(view.node)
  const length = scanLength(view, states)
  return view.body('body').map((info, i) => {
    if (i < states) return either(view.info(i), info)
    if (info.shape === undefined) return info
    const axis = scanAxis(view.node, 'scan_output_axes', i - states, info.shape.length + 1)
    return { dtype: info.dtype, shape: info.shape.toSpliced(axis, 0, length) }
  })
}

/** The size of the scanned axes: a number where one of the inputs has it. */
function scanLength(view: NodeView, states: number): Dim {
  const sizes = view.node.inputs.slice(states).map((_, i): Dim | undefined => {
    const shape = view.shape(states + i)
    return shape?.[scanAxis(view.node, 'scan_input_axes', i, shape.length)]
  })
  const known = sizes.filter((size) => size !== undefined)
  return known.find((size) => typeof size === 'number') ?? known[0] ?? view.fresh()
}

function either(a: ValueInfo, b: ValueInfo): ValueInfo {
  return { dtype: a.dtype ?? b.dtype, shape: a.shape ?? b.shape }
}

/**
 * Carried values as any iteration leaves them, or as they came where there is none; scan outputs stacked (Loop 11). Of
 * no iterations ONNX Runtime stacks a value with 0 for every size that is not fixed.
 */
const loop: ShapeRule = (view) => {
  const carried = view.node.inputs.length - LOOP_CARRIED
  const runs = (view.constants(0)?.[0] ?? 0) > 0 && (view.node.inputs[1] ?? '') === ''
  const stacked = (dim: Dim): Dim => (typeof dim === 'number' || runs ? dim : view.fresh())
  return view
    .body('body')
    .slice(1)
    .map((info, i) => {
      if (i < carried) return common([view.info(i + LOOP_CARRIED), info], view.fresh)
      return { dtype: info.dtype, shape: info.shape && [view.fresh(), ...info.shape.map(stacked)] }
    })
}

/**
 * What both branches agree on (If 11), or what the one gives that is known to be taken: PyTorch's older exporter asks
 * in the graph whether an axis has size 1 before it squeezes it, and then the branches differ in rank.
 */
const branch: ShapeRule = (view) => {
  const condition = view.constants(0)?.[0]
  if (condition !== undefined) return view.body(condition === 0 ? 'else_branch' : 'then_branch')
  const [then, otherwise] = [view.body('then_branch'), view.body('else_branch')]
  return then.map((info, i) => common([info, otherwise[i]!], view.fresh))
}

function common(infos: readonly [ValueInfo, ValueInfo], fresh: () => Dim): ValueInfo {
  const [a, b] = infos
  const dtype = a.dtype === b.dtype ? a.dtype : undefined
  if (a.shape === undefined || b.shape?.length !== a.shape.length) return { dtype, shape: undefined }
  return { dtype, shape: a.shape.map((dim, axis) => (dim === b.shape![axis] ? dim : fresh())) }
}

/** RNN, GRU and LSTM: Y of all steps, Y_h and Y_c of the last (layout 1, from version 14 on, has the batch first). */
const recurrent: ShapeRule = (view) => {
  const { dtype, shape } = view.info(0)
  const hidden = intAttribute(view.node, 'hidden_size', 0)
  const size = hidden > 0 ? hidden : (view.shape(2)?.[2] ?? view.fresh())
  const directions = stringAttribute(view.node, 'direction', 'forward') === 'bidirectional' ? 2 : 1
  const batchFirst = intAttribute(view.node, 'layout', 0) === 1
  const [first, second] = shape?.length === 3 ? shape : [view.fresh(), view.fresh()]
  const [batch, steps] = batchFirst ? [first!, second!] : [second!, first!]
  const all: Shape = batchFirst ? [batch, steps, directions, size] : [steps, directions, batch, size]
  const last: Shape = batchFirst ? [batch, directions, size] : [directions, batch, size]
  return [
    { dtype, shape: all },
    { dtype, shape: last },
    { dtype, shape: last },
  ]
}

export const CONTROL_FLOW_SHAPES: Readonly<Record<string, ShapeRule>> = {
  Scan: scan,
  Loop: loop,
  If: branch,
  LSTM: recurrent,
  GRU: recurrent,
  RNN: recurrent,
}
