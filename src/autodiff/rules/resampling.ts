import { rewritten, rule, unary } from '../rule.js'
import type { Treatments } from '../rule.js'
import { deformedConvolution } from './deform-conv.js'
import { affineGridBack, gridSampled } from './grid-sample.js'
import { resizeBack } from './resize.js'

/** Images sampled at other places. */
export const RESAMPLING: Treatments = {
  Resize: rule(unary(resizeBack)),
  GridSample: rewritten((c) => [gridSampled(c)]),
  AffineGrid: rule(unary(affineGridBack)),
  DeformConv: rewritten((c) => [deformedConvolution(c)]),
}
