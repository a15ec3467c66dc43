import { DIVERGING } from './palette.js'
import { quantile } from './reduce.js'
import { percent, plain } from './text.js'

/** The share of cells whose colours differ; a few extreme cells would leave all others pale. */
const WITHIN = 0.98

/** The largest |LCA| that has a colour of its own, so that one extreme interval does not make all others pale; above 0. */
export function robustLimit(cells: readonly number[]): number {
  const sizes = cells.map(Math.abs).filter((size) => size > 0)
  const limit = quantile(sizes, WITHIN)
  return limit > 0 ? Number(limit.toPrecision(2)) : 1
}

export function clipNote(cells: readonly number[], limit: number): string[] {
  const beyond = cells.filter((value) => Math.abs(value) > limit).length
  if (beyond === 0) return []
  return [
    `The deepest colours stand for ±${plain(limit)} and all beyond, ${percent(beyond / cells.length)} of the cells.`,
  ]
}

/**
 * Colors from what helps to what hurts, as deep on one side as on the other.
 * @param limit what the deepest colours stand for: a number, or the name of a parameter of the specification
 */
export function divergingColor(field: string, limit: number | string) {
  const outermost = (DIVERGING.length - 1) / 2
  const bound = (stop: number) => {
    const share = (stop - outermost) / outermost
    return typeof limit === 'number' ? limit * share : { expr: `${limit} * ${share}` }
  }
  return {
    field,
    type: 'quantitative',
    title: 'loss change (blue helps, red hurts)',
    scale: {
      type: 'linear',
      domain: DIVERGING.map((_, i) => bound(i)),
      range: [...DIVERGING],
      clamp: true,
      interpolate: 'lab',
    },
    legend: {
      format: '.1~g',
      tickCount: 3,
      gradientLength: { expr: 'min(width, 260)' },
      gradientThickness: 10,
      direction: 'horizontal',
      titleLimit: 300,
    },
  } as const
}
