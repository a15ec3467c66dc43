import { intAttribute } from '../attributes.js'
import type { Dim } from '../graph.js'
import type { NodeView } from '../infer.js'
import { normalizeAxis } from './dims.js'
import type { ShapeRule } from './rule.js'

/** From this version on the axis of DFT is an input. */
export const AXIS_IS_INPUT = 20

/** DFT 17 and 20: complex numbers in the last axis, the transform's length along its own, or a half and one. */
const dft: ShapeRule = (view) => {
  const { dtype, shape } = view.info(0)
  if (shape === undefined) return [{ dtype, shape }]
  const axis = transformAxis(view, shape.length)
  if (axis === undefined) return [{ dtype, shape: shape.map(() => view.fresh()).with(-1, 2) }]
  const onesided = intAttribute(view.node, 'onesided', 0) === 1
  const toReal = onesided && intAttribute(view.node, 'inverse', 0) === 1
  const given = (view.node.inputs[1] ?? '') === '' ? shape[axis]! : (view.integers(1)?.[0] ?? view.fresh())
  const size = toReal || !onesided ? given : oneSided(given, view.fresh)
  const along = toReal && (view.node.inputs[1] ?? '') === '' ? view.fresh() : size
  return [{ dtype, shape: shape.with(axis, along).with(-1, toReal ? 1 : 2) }]
}

function transformAxis(view: NodeView, rank: number): number | undefined {
  if (view.opset < AXIS_IS_INPUT) return normalizeAxis(intAttribute(view.node, 'axis', 1), rank)
  if ((view.node.inputs[2] ?? '') === '') return rank - 2
  const axis = view.constants(2)?.[0]
  return axis === undefined ? undefined : normalizeAxis(axis, rank)
}

function oneSided(length: Dim, fresh: () => Dim): Dim {
  return typeof length === 'number' ? Math.floor(length / 2) + 1 : fresh()
}

/** STFT 17: [batch, frames, frequencies, 2]. */
const stft: ShapeRule = (view) => {
  const { dtype, shape } = view.info(0)
  const [window, given] = [view.shape(2), view.integers(3)?.[0]]
  const length = given ?? window?.[0] ?? shape?.[1]
  const [batch, time] = shape ?? []
  const step = view.constants(1)?.[0]
  const known = typeof time === 'number' && typeof length === 'number' && step !== undefined
  const frames = known ? Math.floor((time - length) / step) + 1 : view.fresh()
  const onesided = intAttribute(view.node, 'onesided', 1) === 1
  const bins = length === undefined ? view.fresh() : onesided ? oneSided(length, view.fresh) : length
  return [{ dtype, shape: [batch ?? view.fresh(), frames, bins, 2] }]
}

export const SIGNAL_SHAPES: Readonly<Record<string, ShapeRule>> = { DFT: dft, STFT: stft }
