import { intAttribute } from '../../onnx/attributes.js'
import type { RewriteContext } from '../rule.js'
import { fourier } from './fourier.js'

/**
 * Frames of the signal [batch, time, 1 or 2] or [batch, time], each times the window, transformed: [batch, frames, frequencies, 2]
 * (STFT 17).
 */
export function shortTimeFourier(c: RewriteContext): string {
  const { builder } = c
  const length = frameLength(c)
  // real values may come without an axis of their own
  const signal = c.shape(0).length === 2 ? builder.add('Unsqueeze', [c.x(0), builder.integers([2])]) : c.x(0)
  const frames = builder.add('Gather', [signal, framePositions(c, length)], { axis: 1 })
  const window = c.x(2)
  const weighted =
    window === '' ? frames : builder.mul(frames, builder.add('Unsqueeze', [window, builder.integers([1])]))
  return fourier(builder, weighted, 2, { onesided: intAttribute(c.node, 'onesided', 1) })
}

/** Samples in a frame, int64 [1]: as given, else the window's, else all. */
function frameLength(c: RewriteContext): string {
  const { builder } = c
  const [window, given] = [c.x(2), c.x(3)]
  if (given === '') return window === '' ? builder.sizes(c.x(0), [1]) : builder.sizes(window, [0])
  const known = builder.constantsOf(given)?.[0]
  return known === undefined ? builder.reshape(builder.cast(given, 'int64'), [1]) : builder.integers([known])
}

/** Where each sample of each frame stands in the signal: [frames, length], frames = (time - length) / step + 1. */
function framePositions(c: RewriteContext, length: string): string {
  const { builder } = c
  const step = builder.reshape(builder.cast(c.x(1), 'int64'), [1])
  const room = builder.add('Sub', [builder.sizes(c.x(0), [1]), length])
  const count = builder.add('Add', [builder.add('Div', [room, step]), builder.integers([1])])
  const upTo = (size: string): string => {
    const end = builder.add('Squeeze', [size, builder.integers([0])])
    return builder.add('Range', [builder.scalar(0, 'int64'), end, builder.scalar(1, 'int64')])
  }
  const starts = builder.mul(upTo(count), step)
  return builder.add('Add', [builder.add('Unsqueeze', [starts, builder.integers([1])]), upTo(length)])
}
