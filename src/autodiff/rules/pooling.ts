import { canonicalRule, rewritten, rule, unary } from '../rule.js'
import type { RewriteContext, Treatments, VjpContext } from '../rule.js'
import { averageBack, explicitlyPadded } from './average-pooling.js'
import { globalMaximumBack, maximumBack, rowByRow, unpoolingBack } from './max-pooling.js'
import { imageNormBack, windowNormBack } from './norm-pooling.js'
import { pooledConvolution } from './pooled-convolution.js'
import { regionAlign } from './region-align.js'
import { regionMaximum } from './region-pooling.js'

export const POOLING: Treatments = {
  MaxPool: canonicalRule(unary(maximumBack), (c) => rowByRow(c) ?? besideEachOther(c)),
  MaxUnpool: rule(unary(unpoolingBack)),
  GlobalMaxPool: rule(unary(globalMaximumBack)),
  AveragePool: canonicalRule(unary(averageBack), explicitlyPadded),
  GlobalAveragePool: rule(unary(imageAverageBack)),
  LpPool: canonicalRule(unary(windowNormBack), explicitlyPadded),
  GlobalLpPool: rule(unary(imageNormBack)),
  MaxRoiPool: rewritten((c) => [regionMaximum(c)]),
  RoiAlign: rewritten((c) => [regionAlign(c)]),
}

function besideEachOther(c: RewriteContext): string[] | undefined {
  const maximum = pooledConvolution(c)
  return maximum === undefined ? undefined : [maximum]
}

/** The window is the whole image (GlobalAveragePool 1). */
function imageAverageBack(c: VjpContext): string {
  const { builder } = c
  const axes = c.shape(0).flatMap((_, axis) => (axis < 2 ? [] : [axis]))
  const sizes = builder.sizes(c.x(0), axes)
  const count = builder.cast(builder.add('ReduceProd', [sizes], { keepdims: 0 }), builder.dtype(c.g))
  return builder.expandLike(builder.add('Div', [c.g, count]), c.x(0))
}
