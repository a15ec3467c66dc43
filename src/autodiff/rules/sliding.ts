import type { GraphBuilder } from '../../onnx/builder.js'

/** Views of an axis, each moved against the one before it. */
export interface Slide {
  readonly axis: number
  /** How many views, and how far each lies behind the one before it. */
  readonly count: number
  readonly apart: number
  /** Elements of each view, and how far they lie apart. */
  readonly length: number
  readonly step: number
}

/** Inputs of one Concat; a shader reads only so many buffers. */
const MOST_JOINED = 8

/**
 * The views put one behind the other along another axis, first all of the first view: [.., m, .., n, ..] as
 * [.., count x m, .., length, ..].
 */
export function slidViews(builder: GraphBuilder, value: string, slide: Slide, along: number): string {
  const { axis, count, apart, length, step } = slide
  const view = (i: number): string => {
    const bounds = [[i * apart], [i * apart + (length - 1) * step + 1], [axis], [step]]
    const whole = i === 0 && step === 1 && builder.shapeOf(value)?.[axis] === length
    return whole ? value : builder.add('Slice', [value, ...bounds.map((list) => builder.integers(list))])
  }
  return joined(
    builder,
    Array.from({ length: count }, (_, i) => view(i)),
    along,
  )
}

function joined(builder: GraphBuilder, parts: readonly string[], axis: number): string {
  if (parts.length === 1) return parts[0]!
  if (parts.length <= MOST_JOINED) return builder.add('Concat', parts, { axis })
  const groups = Array.from({ length: Math.ceil(parts.length / MOST_JOINED) }, (_, i) =>
    builder.add('Concat', parts.slice(i * MOST_JOINED, (i + 1) * MOST_JOINED), { axis }),
  )
  return joined(builder, groups, axis)
}
