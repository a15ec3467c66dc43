/** Loads one way of running TensorFlow.js, computes once with it, and prints a ProbeAnswer as one line of JSON. */
import { reasonOf } from '../../errors.js'
import { loadTfjs } from './load.js'
import { TFJS_BACKENDS } from './packages.js'
import type { ProbeAnswer } from './probe.js'

async function answer(): Promise<ProbeAnswer> {
  const name = TFJS_BACKENDS.find((one) => one === process.argv[2])
  if (name === undefined) return { loads: false, reason: `no such backend: ${process.argv[2] ?? ''}` }
  try {
    const { tf, tensorflow, gpu } = await loadTfjs(name, 1)
    const slope = tf.tidy(
      () =>
        tf
          .grad((x) => tf.square(x).sum())(tf.tensor1d([1.5]))
          .dataSync()[0],
    )
    if (slope !== 3) return { loads: false, reason: `it takes d/dx x^2 at 1.5 for ${slope}` }
    return { loads: true, gpu, ...(tensorflow !== undefined && { tensorflow }) }
  } catch (error) {
    return { loads: false, reason: reasonOf(error) }
  }
}

process.stdout.write(`${JSON.stringify(await answer())}\n`)
