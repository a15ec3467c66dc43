import { floatAttribute, intAttribute, intsAttribute } from '../../onnx/attributes.js'
import type { GraphBuilder } from '../../onnx/builder.js'
import { Formula } from '../formula.js'
import { rewritten, rule } from '../rule.js'
import type { RewriteContext, Treatments, VjpContext } from '../rule.js'
import { BATCH_NORMALIZATION } from './batch-norm.js'
import { layerNorm, rmsNorm } from './layer-norm.js'

/** Normalizations: means, variances and norms taken out. */
export const NORMALIZATION: Treatments = {
  BatchNormalization: BATCH_NORMALIZATION,
  LayerNormalization: rule(layerNorm),
  RMSNormalization: rule(rmsNorm),
  // every channel of a sample on its own, then scaled by channel (InstanceNormalization 6)
  InstanceNormalization: rewritten((c) => {
    const normalized = overRest(c, [0, 0, -1])
    return [affine(c, c.builder.reshapeLike(normalized, c.x(0)), c.shape(0).length - 1)]
  }),
  // scale and bias belong to groups before version 21, to channels from then on
  GroupNormalization: rewritten((c) => {
    const normalized = overRest(c, [0, intAttribute(c.node, 'num_groups', 1), -1])
    const back = (value: string): string => c.builder.reshapeLike(value, c.x(0))
    if (c.builder.opset < 21) return [back(affine(c, normalized, 2))]
    return [affine(c, back(normalized), c.shape(0).length - 1)]
  }),
  // (x - mean) / (sqrt(mean (x - mean)^2) + 1e-9) (the function body of MeanVarianceNormalization 13)
  MeanVarianceNormalization: rewritten((c) => {
    const f = new Formula(c.builder, c.x(0))
    const axes = c.builder.integers(intsAttribute(c.node, 'axes') ?? [0, 2, 3])
    const centred = f.sub(c.x(0), c.builder.add('ReduceMean', [c.x(0), axes]))
    const deviation = f.call('Sqrt', c.builder.add('ReduceMean', [f.square(centred), axes]))
    return [f.div(centred, f.add(deviation, 1e-9))]
  }),
  // with y = x / |x|: (g - y sum(g y)) / |x|, and sign(x) in place of y for p = 1; 0 where the norm is 0
  LpNormalization: rule((c) => {
    const f = new Formula(c.builder, c.g)
    const absolute = intAttribute(c.node, 'p', 2) === 1
    const axes = c.builder.integers([intAttribute(c.node, 'axis', -1)])
    const norm = c.builder.add(absolute ? 'ReduceL1' : 'ReduceL2', [c.x(0), axes])
    const zero = f.mask('Equal', norm, 0)
    const inverse = f.div(f.sub(1, zero), f.add(norm, zero))
    const along = c.builder.add('ReduceSum', [f.mul(c.g, c.y()), axes])
    const direction = absolute ? f.call('Sign', c.x(0)) : c.y()
    return [f.mul(f.sub(c.g, f.mul(direction, along)), inverse)]
  }),
  LRN: rule((c) => [localResponse(c)]),
}

/** An input reshaped to three axes, of which the last gets mean 0 and variance 1. A size of 0 stands for the input's own. */
function overRest(c: RewriteContext, sizes: readonly number[]): string {
  const { builder } = c
  const rows = builder.add('Reshape', [c.x(0), builder.integers(sizes)])
  const ones = builder.add('Expand', [builder.scalar(1, builder.dtype(c.x(0))), builder.sizes(rows, [2])])
  const epsilon = floatAttribute(c.node, 'epsilon', Math.fround(1e-5))
  return builder.add('LayerNormalization', [rows, ones], { axis: -1, epsilon: { float: epsilon } })
}

/** scale and bias (inputs 1 and 2) applied to a value that has `axes` axes from the one that they belong to on. */
function affine(c: RewriteContext, value: string, axes: number): string {
  const ones = Array.from({ length: axes - 1 }, () => 1)
  const along = (vector: string): string => (axes === 1 ? vector : c.builder.reshape(vector, [-1, ...ones]))
  return c.builder.add('Add', [c.builder.mul(value, along(c.x(1))), along(c.x(2))])
}

/**
 * With d = bias + alpha mean(x^2 over a window of channels) and y = x d^-beta (LRN 13):
 * g d^-beta - 2 alpha beta x mean(g y / d), the second mean over the windows that an element lies in.
 */
function localResponse(c: VjpContext): string {
  const f = new Formula(c.builder, c.g)
  const [alpha, beta] = [
    floatAttribute(c.node, 'alpha', Math.fround(1e-4)),
    floatAttribute(c.node, 'beta', 0.75),
  ]
  const size = intAttribute(c.node, 'size', 1)
  const [before, after] = [Math.floor((size - 1) / 2), Math.ceil((size - 1) / 2)]
  const mean = windowMean(c.builder, f.square(c.x(0)), c.shape(0).length, before, after)
  const d = f.add(f.mul(mean, alpha), floatAttribute(c.node, 'bias', 1))
  const shared = windowMean(c.builder, f.div(f.mul(c.g, c.y()), d), c.shape(0).length, after, before)
  return f.sub(f.mul(c.g, f.call('Pow', d, -beta)), f.mul(f.mul(c.x(0), shared), 2 * alpha * beta))
}

/** The mean over a window of channels, zeros beyond their ends counted: pooling with the channels as an image's axis. */
function windowMean(
  builder: GraphBuilder,
  value: string,
  rank: number,
  before: number,
  after: number,
): string {
  const zeros = Array.from({ length: rank - 2 }, () => 0)
  const front = builder.integers([1])
  const pooled = builder.add('AveragePool', [builder.add('Unsqueeze', [value, front])], {
    kernel_shape: [before + 1 + after, ...zeros.map(() => 1)],
    pads: [before, ...zeros, after, ...zeros],
    count_include_pad: 1,
  })
  return builder.add('Squeeze', [pooled, front])
}
