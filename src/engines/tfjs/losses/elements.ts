import type { Tensor } from '@tensorflow/tfjs'
import type { Tf } from '../load.js'
import { elementsEach, perSample } from './terms.js'
import type { Loss } from './terms.js'

/** A loss that averages over all elements of all samples. */
function overElements(elements: (prediction: Tensor, target: Tensor | undefined) => Tensor): Loss {
  return ({ prediction, target, weights }) => ({
    numerators: perSample(elements(prediction, target)).mul(weights),
    denominators: elementsEach(weights, prediction.size / prediction.shape[0]),
  })
}

/** (z - t)^2 */
export function meanSquaredError(): Loss {
  return overElements((z, t) => z.sub(t!).square())
}

/** The network's own values. */
export function ownValues(): Loss {
  return overElements((z) => z)
}

/**
 * softplus(z) - z t, or (1 - t) z + (1 + (w - 1) t) softplus(-z) for weights w of the positive term: one, or one for each
 * entry of an axis. The derivative of softplus is the sigmoid, at 0 too.
 */
export function binaryCrossEntropy(tf: Tf, positive: readonly number[] | undefined, axis: number): Loss {
  return overElements((z, target) => {
    const t = target!
    if (positive === undefined) return tf.softplus(z).sub(z.mul(t))
    const behind = positive.length === 1 ? [] : Array.from({ length: z.rank - 1 - axis }, () => 1)
    const w = tf.tensor(positive, [positive.length, ...behind])
    const factor = w.sub(1).mul(t).add(1)
    return tf
      .scalar(1)
      .sub(t)
      .mul(z)
      .add(factor.mul(tf.softplus(z.neg())))
  })
}
