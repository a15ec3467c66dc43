import type { GraphBuilder } from '../../onnx/builder.js'
import type { NamedValue } from '../../onnx/graph.js'
import type { ClassPrediction } from './classes.js'
import { IGNORE_INDEX } from './spec.js'
import type { ClassChoices } from './spec.js'
import type { LossContext, TargetNeed } from './terms.js'

/** Labels in the graph: one class index for each position, in the prediction's shape less its class axis. */
export interface Labels {
  readonly target: TargetNeed
  /** 1 for a label that counts, 0 for one that is ignored, in the labels' shape. */
  readonly counted: string
  /** The weight of each label's class; undefined where all count alike. */
  readonly weight: string | undefined
  /** The entry of each position's own class, of a value in the prediction's shape; in the labels' shape. */
  pick(value: string): string
  /** A value in the labels' shape with a class axis of size 1. */
  column(value: string): string
  /** A value in the prediction's shape less `column` at each position's own class; undefined stands for zeros. */
  subtract(value: string | undefined, column: string): string
}

/** Declares the target as labels, and prepares to look them up. */
export function readLabels(spec: ClassChoices, context: LossContext, prediction: ClassPrediction): Labels {
  const { builder, targetName, settings } = context
  const { axis, shape, value, classes, classWeights } = prediction
  const ignored = spec.ignoreIndex ?? IGNORE_INDEX
  const input: NamedValue = {
    name: targetName,
    dtype: 'int64',
    shape: shape.filter((_, i) => i !== axis),
  }
  context.declare(input)
  const dtype = settings.forms !== 'webgpu' ? 'int64' : 'int32'
  const given = builder.cast(targetName, dtype)
  const counts = builder.add('Not', [builder.add('Equal', [given, builder.scalar(ignored, dtype)])])
  // a label that is ignored need not be a class: class 0 stands in for it, and its weight is 0
  const index = builder.mul(given, builder.cast(counts, dtype))
  const column = (of: string): string => builder.add('Unsqueeze', [of, builder.integers([axis])])
  const lookUp = settings.forms !== 'webgpu' ? byIndex : byMask
  return {
    target: {
      kind: 'labels',
      input,
      classes,
      ignored,
      ...(spec.classWeights && { weights: spec.classWeights }),
    },
    counted: builder.cast(counts, builder.dtype(value)),
    weight: classWeights && weightOf(builder, classWeights, index),
    column,
    ...lookUp(builder, prediction, column(index)),
  }
}

function weightOf(builder: GraphBuilder, classWeights: string, index: string): string {
  return builder.add('Gather', [builder.reshape(classWeights, [-1]), index], { axis: 0 })
}

type LookUp = (
  builder: GraphBuilder,
  prediction: ClassPrediction,
  index: string,
) => Pick<Labels, 'pick' | 'subtract'>

const byIndex: LookUp = (builder, { axis, value: prediction }, index) => ({
  pick: (value) =>
    builder.add('Squeeze', [
      builder.add('GatherElements', [value, index], { axis }),
      builder.integers([axis]),
    ]),
  subtract: (value, column) =>
    builder.add(
      'ScatterElements',
      [value ?? builder.zerosLike(prediction), index, builder.add('Neg', [column])],
      { axis, reduction: 'add' },
    ),
})

/** With 0 and 1 for every class, in operators that WebGPU runs. */
const byMask: LookUp = (builder, prediction, index) => {
  const hot = builder.cast(
    builder.add('Equal', [index, classNumbers(builder, prediction)]),
    builder.dtype(prediction.value),
  )
  return {
    pick: (value) => builder.sum(builder.mul(value, hot), [prediction.axis], false),
    subtract: (value, column) => {
      const part = builder.mul(hot, column)
      return value === undefined ? builder.add('Neg', [part]) : builder.add('Sub', [value, part])
    },
  }
}

/** 0, 1, 2, ... along the class axis, as int32. */
function classNumbers(builder: GraphBuilder, { axis, shape, classes, value }: ClassPrediction): string {
  const limit =
    typeof classes === 'number'
      ? builder.scalar(classes, 'int32')
      : builder.cast(builder.reshape(builder.sizes(value, [axis]), []), 'int32')
  const [zero, one] = [builder.scalar(0, 'int32'), builder.scalar(1, 'int32')]
  const numbers = builder.add('Range', [zero, limit, one])
  const behind = shape.slice(axis + 1).map(() => 1)
  return builder.reshape(numbers, [-1, ...behind])
}
