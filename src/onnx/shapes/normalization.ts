import { intAttribute, stringAttribute } from '../attributes.js'
import { dtypeOf } from '../dtypes.js'
import type { ShapeRule } from './rule.js'
import { normalizeAxis } from './dims.js'

const same: ShapeRule = (view) => [view.info(0)]

/** Y, and in training the statistics per channel, whatever their number in the version. */
const batchNormalization: ShapeRule = (view) => [
  view.info(0),
  ...view.node.outputs.slice(1).map((_, i) => view.info(3 + (i % 2))),
]

/** Y, Mean and InvStdDev; the two are float32 by default (stash_type). */
const layerNormalization: ShapeRule = (view) => {
  const { shape } = view.info(0)
  const first = normalizeAxis(intAttribute(view.node, 'axis', -1), shape?.length ?? 0)
  const statistics = {
    dtype: dtypeOf(intAttribute(view.node, 'stash_type', 1)),
    shape: shape?.map((dim, axis) => (axis < first ? dim : 1)),
  }
  return [view.info(0), statistics, statistics]
}

/** One loss per label or one for all; SoftmaxCrossEntropyLoss gives the log-probabilities too. */
const classLoss: ShapeRule = (view) => {
  const none = stringAttribute(view.node, 'reduction', 'mean') === 'none'
  return [{ dtype: view.info(0).dtype, shape: none ? view.shape(1) : [] }, view.info(0)]
}

/** Of the scale's type unless the node says otherwise (from version 23 on). */
const dequantized: ShapeRule = (view) => {
  const code = intAttribute(view.node, 'output_dtype', 0)
  return [{ dtype: code === 0 ? view.info(1).dtype : dtypeOf(code), shape: view.shape(0) }]
}

/** Of the zero point's type, or output_dtype (21), or uint8. */
const quantized: ShapeRule = (view) => {
  const code = intAttribute(view.node, 'output_dtype', 0)
  const given = (view.node.inputs[2] ?? '') !== ''
  const dtype = given ? view.info(2).dtype : code === 0 ? 'uint8' : dtypeOf(code)
  return [{ dtype, shape: view.shape(0) }]
}

const dynamicallyQuantized: ShapeRule = (view) => [
  { dtype: 'uint8', shape: view.shape(0) },
  { dtype: 'float32', shape: [] },
  { dtype: 'uint8', shape: [] },
]

export const NORMALIZATION_SHAPES: Readonly<Record<string, ShapeRule>> = {
  ...Object.fromEntries(
    (
      'InstanceNormalization GroupNormalization RMSNormalization LpNormalization MeanVarianceNormalization LRN ' +
      'Gelu HardSwish Mish Swish Shrink CumProd'
    )
      .split(' ')
      .map((op) => [op, same]),
  ),
  BatchNormalization: batchNormalization,
  LayerNormalization: layerNormalization,
  SoftmaxCrossEntropyLoss: classLoss,
  NegativeLogLikelihoodLoss: classLoss,
  DequantizeLinear: dequantized,
  QuantizeLinear: quantized,
  DynamicQuantizeLinear: dynamicallyQuantized,
}
