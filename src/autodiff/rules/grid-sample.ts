import { intAttribute, stringAttribute } from '../../onnx/attributes.js'
import { Formula } from '../formula.js'
import { Integers } from '../integers.js'
import { RuleRefusal } from '../rule.js'
import type { RewriteContext, VjpContext } from '../rule.js'
import type { Sampling } from './sampled-axis.js'
import { sampled } from './sampling.js'

/** Opset 16 says bilinear and bicubic where 20 says linear and cubic. */
const MODES: Readonly<Record<string, Sampling['mode']>> = {
  bilinear: 'linear',
  linear: 'linear',
  nearest: 'nearest',
  bicubic: 'cubic',
  cubic: 'cubic',
}

/** GridSample 16, 20 by gathering pixels: X [N, C, sizes], grid [N, output sizes, rank] with the last axis first. */
export function gridSampled(c: RewriteContext): string {
  const { builder } = c
  const integers = new Integers(builder)
  const rank = c.shape(0).length - 2
  const grid = builder.reshapeTo(c.x(1), integers.vector([integers.size(c.x(1), 0), -1, rank]))
  const places = Array.from({ length: rank }, (_, axis) => {
    const coordinate = builder.scalar(rank - 1 - axis, 'int64')
    return inPixels(c, builder.add('Gather', [grid, coordinate], { axis: 2 }), axis + 2)
  })
  const output = [0, 1].map((axis) => integers.size(c.x(0), axis))
  const sizes = Array.from({ length: rank }, (_, axis) => integers.size(c.x(1), axis + 1))
  const samples = sampled(builder, c.x(0), places, samplingOf(c))
  return builder.reshapeTo(samples, integers.vector([...output, ...sizes]))
}

function samplingOf(c: RewriteContext): Sampling {
  const name = stringAttribute(c.node, 'mode', 'linear')
  const mode = MODES[name]
  if (mode === undefined) throw new RuleRefusal(`its mode '${name}' is not known`)
  const padding = stringAttribute(c.node, 'padding_mode', 'zeros')
  if (padding !== 'zeros' && padding !== 'border' && padding !== 'reflection')
    throw new RuleRefusal(`its padding_mode '${padding}' is not known`)
  return { mode, padding, alignCorners: alignsCorners(c) }
}

function alignsCorners(c: Pick<RewriteContext, 'node'>): boolean {
  return intAttribute(c.node, 'align_corners', 0) === 1
}

/** A coordinate of -1 to 1 in pixels: from the centre of the first one to that of the last, or from edge to edge. */
function inPixels(c: RewriteContext, coordinate: string, axis: number): string {
  const { builder } = c
  const f = new Formula(builder, coordinate)
  const size = new Integers(builder).size(c.x(0), axis)
  const count = typeof size === 'number' ? f.number(size) : builder.cast(size, builder.dtype(coordinate))
  const shifted = f.add(coordinate, 1)
  if (alignsCorners(c)) return f.mul(shifted, f.mul(f.sub(count, 1), 0.5))
  return f.mul(f.sub(f.mul(shifted, count), 1), 0.5)
}

/**
 * grid[n] = base theta[n]^T, base [P, 3 or 4] being every place with a 1 behind (AffineGrid 20): what the identity
 * makes of them is the places themselves. d theta[n] = G[n]^T base.
 */
export function affineGridBack(c: VjpContext): string {
  const { builder } = c
  const integers = new Integers(builder)
  const rank = builder.shapeOf(c.g)?.at(-1)
  if (typeof rank !== 'number')
    throw new RuleRefusal('it is not known whether the grid has two or three axes')
  const dtype = builder.dtype(c.g)
  const identity = Array.from({ length: rank }, (_, row) =>
    Array.from({ length: rank + 1 }, (__, column) => (row === column ? 1 : 0)),
  )
  const theta = builder.constant(dtype, [1, rank, rank + 1], identity.flat())
  const size = integers.vector([1, ...integers.elements(c.x(1), rank + 2).slice(1)])
  const places = builder.add('AffineGrid', [theta, size], { align_corners: alignsCorners(c) ? 1 : 0 })
  const flat = builder.reshape(places, [-1, rank])
  const base = builder.add('Pad', [flat, builder.integers([0, 0, 0, 1]), builder.scalar(1, dtype)])
  const g = builder.reshapeTo(c.g, integers.vector([integers.size(c.g, 0), -1, rank]))
  return builder.add('MatMul', [builder.transpose(g, [0, 2, 1]), base])
}
