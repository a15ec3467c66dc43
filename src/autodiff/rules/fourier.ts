import { intAttribute } from '../../onnx/attributes.js'
import type { GraphBuilder } from '../../onnx/builder.js'
import { normalizeAxis } from '../../onnx/shapes/dims.js'
import { AXIS_IS_INPUT } from '../../onnx/shapes/signal.js'
import { Formula } from '../formula.js'
import { Integers } from '../integers.js'
import { RuleRefusal } from '../rule.js'
import type { VjpContext } from '../rule.js'

/** The discrete Fourier transform of values [..., 1] (real) or [..., 2] (complex) along an axis, as long as they are. */
export function fourier(
  builder: GraphBuilder,
  value: string,
  axis: number,
  { inverse = 0, onesided = 0 }: { readonly inverse?: number; readonly onesided?: number },
): string {
  return builder.opset >= AXIS_IS_INPUT
    ? builder.add('DFT', [value, '', builder.scalar(axis, 'int64')], { inverse, onesided })
    : builder.add('DFT', [value], { axis, inverse, onesided })
}

/**
 * y = W x with W[k, n] = exp(-2 pi i k n / L): dx = W^H g, which is L times the inverse transform of g; of the inverse
 * transform, W^H / L, it is the transform of g over L (DFT 17, 20). Only the real part comes back to real values; what
 * was cut off by dft_length gets zeros, and so do the frequencies that a one-sided transform left out. Its inverse has
 * a rule of its own.
 */
export function fourierCotangent(c: VjpContext): string {
  const { builder } = c
  const [inverse, onesided] = ['inverse', 'onesided'].map((name) => intAttribute(c.node, name, 0))
  const axis = axisOf(c)
  if (inverse === 1 && onesided === 1) return halfSpectrum(c, axis)
  const length = transformLength(c, axis)
  const whole = onesided === 1 ? resized(builder, c.g, axis, length) : c.g
  const count = builder.cast(builder.reshape(length, []), builder.dtype(c.g))
  const back = fourier(builder, whole, axis, { inverse: inverse === 1 ? 0 : 1 })
  const scaled = builder.add(inverse === 1 ? 'Div' : 'Mul', [back, count])
  return resized(builder, ownParts(c, scaled), axis, builder.sizes(c.x(0), [axis]))
}

/**
 * The inverse of a one-sided transform adds each frequency's conjugate, so that all but the first count twice, and but
 * the one in the middle of an even length: y = irfft(x), dx[k] = (1 or 2) / L * rfft(g)[k].
 */
function halfSpectrum(c: VjpContext, axis: number): string {
  const { builder } = c
  assertWholeSpectrum(c, axis)
  const length = builder.sizes(c.g, [axis])
  const spectrum = fourier(builder, c.g, axis, { onesided: 1 })
  const f = new Formula(builder, c.g)
  const integers = new Integers(builder)
  const count = builder.cast(length, builder.dtype(c.g))
  const size = integers.size(spectrum, axis)
  const frequency = builder.cast(integers.range(size), builder.dtype(c.g))
  const single = f.add(f.mask('Equal', frequency, 0), f.mask('Equal', f.mul(frequency, 2), count))
  const factors = f.div(f.sub(2, single), count)
  const behind = Array.from({ length: c.shape(0).length - 1 - axis }, () => 1)
  return f.mul(spectrum, builder.reshape(factors, [-1, ...behind]))
}

/** Frequencies that are missing or too many ONNX Runtime neither fills up nor leaves out, as ONNX would have it. */
function assertWholeSpectrum(c: VjpContext, axis: number): void {
  if (c.x(1) === '') return
  const [length, size] = [c.builder.constantsOf(c.x(1))?.[0], c.shape(0)[axis]]
  if (length === undefined || size !== Math.floor(length / 2) + 1)
    throw new RuleRefusal(
      `a one-sided inverse transform needs dft_length / 2 + 1 frequencies (dft_length ${length ?? 'computed when the graph runs'}, frequencies ${size ?? 'unknown'})`,
    )
}

function axisOf(c: VjpContext): number {
  const rank = c.shape(0).length
  if (c.builder.opset < AXIS_IS_INPUT) return normalizeAxis(intAttribute(c.node, 'axis', 1), rank)
  if (c.x(2) === '') return rank - 2
  const axis = c.builder.constantsOf(c.x(2))?.[0]
  if (axis === undefined) throw new RuleRefusal('its axis is computed when the graph runs')
  return normalizeAxis(axis, rank)
}

/** The number of points of the transform, int64 [1]. */
function transformLength(c: VjpContext, axis: number): string {
  const { builder } = c
  if (c.x(1) === '') return builder.sizes(c.x(0), [axis])
  const given = builder.constantsOf(c.x(1))?.[0]
  return given === undefined ? builder.reshape(builder.cast(c.x(1), 'int64'), [1]) : builder.integers([given])
}

/** A value cut, or filled up with zeros, at the end of an axis. */
function resized(builder: GraphBuilder, value: string, axis: number, length: string): string {
  const own = builder.sizes(value, [axis])
  if (own === length) return value
  const [from, to] = [builder.constantsOf(own)?.[0], builder.constantsOf(length)?.[0]]
  if (from !== undefined && from === to) return value
  const more =
    from === undefined || to === undefined ? builder.add('Sub', [length, own]) : builder.integers([to - from])
  const pads = builder.add('Concat', [builder.integers([0]), more], { axis: 0 })
  return builder.add('Pad', [value, pads, '', builder.integers([axis])])
}

/** Real and imaginary parts, or the real ones alone, as the input has them. */
function ownParts(c: VjpContext, value: string): string {
  const { builder } = c
  const shape = c.shape(0)
  if (shape.at(-1) === 2) return value
  const [from, to, axis] = [
    builder.integers([0]),
    builder.sizes(c.x(0), [shape.length - 1]),
    builder.integers([-1]),
  ]
  return builder.add('Slice', [value, from, to, axis])
}
