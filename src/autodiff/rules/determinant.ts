import { RuleRefusal } from '../rule.js'
import type { VjpContext } from '../rule.js'

/**
 * d det(X) = sum of cofactors times dX (Jacobi). The cofactors are determinants of what is left without a row and a
 * column, so that they are exact for singular matrices too. X is [..., n, n] (Det 11).
 */
export function determinantCotangent(c: VjpContext): string {
  const { builder } = c
  const shape = c.shape(0)
  const size = shape[shape.length - 1]
  if (shape.length < 2) throw new RuleRefusal('its input is no matrix')
  const g = builder.add('Unsqueeze', [c.g, builder.integers([shape.length - 2, shape.length - 1])])
  if (size === 1) return builder.expandLike(g, c.x(0))
  const factors =
    typeof size === 'number' && size <= LARGEST_LISTED
      ? cofactors(c, shape.length, size)
      : cofactorsOfAnySize(c, shape.length)
  return builder.mul(g, factors)
}

/** Up to this size the rows and columns that are left are listed in a constant. */
const LARGEST_LISTED = 256

/** The same for a size that is large or not known: the determinant of X with the unit row j in place of row i. */
function cofactorsOfAnySize(c: VjpContext, rank: number): string {
  const { builder } = c
  const square = builder.sizes(c.x(0), [rank - 2, rank - 1])
  const zeros = builder.add('Expand', [builder.scalar(0, builder.dtype(c.g)), square])
  const unit = builder.add('EyeLike', [zeros])
  // [i, 1, row, 1] and [j, 1, column]
  const rows = builder.add('Unsqueeze', [unit, builder.integers([1, 3])])
  const columns = builder.add('Unsqueeze', [unit, builder.integers([1])])
  const x = builder.add('Unsqueeze', [c.x(0), builder.integers([rank - 2, rank - 1])])
  const others = builder.mul(x, builder.add('Sub', [builder.scalar(1, builder.dtype(c.g)), rows]))
  return builder.add('Det', [builder.add('Add', [others, builder.mul(rows, columns)])])
}

/** [..., n, n]: (-1)^(i+j) times the determinant of X without row i and column j. */
function cofactors(c: VjpContext, rank: number, size: number): string {
  const { builder } = c
  const others = (left: number): number[] =>
    Array.from({ length: size }, (_, i) => i).filter((i) => i !== left)
  const all = Array.from({ length: size }, (_, i) => others(i)).flat()
  const index = builder.constant('int64', [size, size - 1], all)
  // [..., i, rows, n], then [..., i, rows, j, columns]
  const rows = builder.add('Gather', [c.x(0), index], { axis: rank - 2 })
  const minors = builder.add('Gather', [rows, index], { axis: rank })
  const front = Array.from({ length: rank - 2 }, (_, axis) => axis)
  const ordered = builder.transpose(minors, [...front, rank - 2, rank, rank - 1, rank + 1])
  const signs = Array.from({ length: size * size }, (_, i) =>
    ((i % size) + Math.floor(i / size)) % 2 === 0 ? 1 : -1,
  )
  return builder.mul(builder.add('Det', [ordered]), builder.constant(builder.dtype(c.g), [size, size], signs))
}
