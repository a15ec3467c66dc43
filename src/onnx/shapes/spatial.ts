import { intAttribute, intsAttribute, stringAttribute } from '../attributes.js'
import type { Dim, Node, Shape } from '../graph.js'

/** The window of a convolution or pooling, one entry per spatial axis. */
export interface Window {
  readonly kernel: readonly number[]
  readonly strides: readonly number[]
  readonly dilations: readonly number[]
  readonly padsBegin: readonly number[]
  readonly padsEnd: readonly number[]
}

/**
 * A node's window with its padding made explicit, or the reason why it can't be: auto_pad SAME_* and ceil_mode
 * depend on the input's size, which must then be known (ONNX Conv 11, MaxPool 12, AveragePool 19).
 */
export function windowOf(node: Node, kernel: readonly number[], spatial: Shape): Window | string {
  const ones = kernel.map(() => 1)
  const strides = intsAttribute(node, 'strides') ?? ones
  const dilations = intsAttribute(node, 'dilations') ?? ones
  const pads = intsAttribute(node, 'pads') ?? kernel.flatMap(() => [0, 0])
  const autoPad = stringAttribute(node, 'auto_pad', 'NOTSET')
  const base = { kernel, strides, dilations }
  if (autoPad === 'VALID') return { ...base, padsBegin: kernel.map(() => 0), padsEnd: kernel.map(() => 0) }
  if (autoPad !== 'NOTSET') return samePads(base, spatial, autoPad)
  return { ...base, padsBegin: pads.slice(0, kernel.length), padsEnd: pads.slice(kernel.length) }
}

/** A window without its padding. */
export type Unpadded = Pick<Window, 'kernel' | 'strides' | 'dilations'>

function samePads(base: Unpadded, spatial: Shape, autoPad: string): Window | string {
  const totals: number[] = []
  for (const [axis, size] of spatial.entries()) {
    const stride = base.strides[axis]!
    if (typeof size !== 'number' && stride !== 1)
      return `auto_pad ${autoPad} with stride ${stride} needs the input's size, which is symbolic ('${size}')`
    const covered = typeof size === 'number' ? (Math.ceil(size / stride) - 1) * stride - size : -1
    totals.push(Math.max(0, covered + extent(base, axis)))
  }
  const small = totals.map((total) => Math.floor(total / 2))
  const large = totals.map((total, axis) => total - small[axis]!)
  const upper = autoPad === 'SAME_UPPER'
  return { ...base, padsBegin: upper ? small : large, padsEnd: upper ? large : small }
}

/** The span of input elements that a dilated kernel covers along an axis. */
export function extent({ kernel, dilations }: Unpadded, axis: number): number {
  return dilations[axis]! * (kernel[axis]! - 1) + 1
}

/** The output size along an axis, or undefined where the input's is symbolic (same as the input's when nothing moves). */
function outputSize(window: Window, axis: number, size: Dim, ceil: boolean): Dim | undefined {
  const pads = window.padsBegin[axis]! + window.padsEnd[axis]!
  const span = extent(window, axis)
  const stride = window.strides[axis]!
  if (typeof size === 'string') return stride === 1 && pads === span - 1 ? size : undefined
  const room = (size + pads - span) / stride
  const count = (ceil ? Math.ceil(room) : Math.floor(room)) + 1
  const startsInPadding = ceil && (count - 1) * stride >= size + window.padsBegin[axis]!
  return startsInPadding ? count - 1 : count
}

/** The spatial output sizes of a node with a window; fresh symbols where they can't be known. */
export function spatialOutput(
  node: Node,
  kernel: readonly number[],
  spatial: Shape,
  fresh: () => Dim,
): Shape {
  const window = windowOf(node, kernel, spatial)
  if (typeof window === 'string') return spatial.map(() => fresh())
  const ceil = intAttribute(node, 'ceil_mode', 0) === 1
  return spatial.map((size, axis) => outputSize(window, axis, size, ceil) ?? fresh())
}
