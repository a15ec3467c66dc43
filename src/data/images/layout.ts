import { DataError } from '../../errors.js'
import { elementCount, formatShape, type TypedArray } from '../../tensor.js'
import type { Dim } from '../needs.js'
import type { ReadableArray } from '../stored-array.js'

type Axes = readonly [number, number, number]

/**
 * Images in the order of axes that the network takes: channels first or last, whichever its dims fit; first where both
 * do, as ONNX's convolutions have it. Arrays that are not known to be images stay as they are.
 * @param dims the network's input, batch axis first
 * @throws DataError where images in colour would be laid flat, since their order can't be known
 */
export function fitLayout(array: ReadableArray, dims: readonly Dim[], notes: string[]): ReadableArray {
  const { layout, shape, where } = array
  if (layout === undefined || shape.length !== 4) return array
  const axes: Axes = [shape[1]!, shape[2]!, shape[3]!]
  const [channelsFirst, channelsLast]: [Axes, Axes] =
    layout === 'channels-last' ? [[axes[2], axes[0], axes[1]], axes] : [axes, [axes[1], axes[2], axes[0]]]
  const wanted = dims.slice(1)
  if (layout === 'channels-last' && wanted.length < 3 && axes[2] > 1 && fits([elementCount(axes)], wanted)) {
    throw new DataError(
      `${where}: images of ${formatShape(axes)} for an input of ${formatShape(wanted)}: whether its channels come first can't be known; save the array in the network's order with numpy.savez`,
    )
  }
  if (fits(channelsFirst, wanted))
    return layout === 'channels-first' ? array : moved(array, channelsFirst, notes)
  return layout === 'channels-first' && fits(channelsLast, wanted) ? moved(array, channelsLast, notes) : array
}

function fits(sizes: readonly number[], dims: readonly Dim[]): boolean {
  return (
    sizes.length === dims.length && dims.every((dim, axis) => typeof dim === 'string' || dim === sizes[axis])
  )
}

function moved(array: ReadableArray, sample: Axes, notes: string[]): ReadableArray {
  const { layout, where, shape } = array
  const toFirst = layout === 'channels-last'
  const channels = toFirst ? sample[0] : sample[2]
  // With one channel nothing moves, and there is nothing to say.
  if (channels > 1)
    notes.push(
      `${where}: channels are moved ${toFirst ? 'before' : 'behind'} rows and columns: samples of ${formatShape(sample)}`,
    )
  const blocks = (): AsyncIterable<TypedArray> => transpose(array, channels, toFirst)
  return {
    ...array,
    shape: [shape[0]!, ...sample],
    layout: toFirst ? 'channels-first' : 'channels-last',
    place: undefined,
    blocks,
  }
}

/** Image by image, the pixels of each channel brought together or taken apart. */
async function* transpose(
  array: ReadableArray,
  channels: number,
  toFirst: boolean,
): AsyncGenerator<TypedArray> {
  const size = elementCount(array.shape.slice(1))
  const pixels = size / channels
  const [outer, inner] = toFirst ? [pixels, channels] : [channels, pixels]
  let image = new Uint8Array(size)
  let at = 0
  for await (const block of array.blocks()) {
    for (const value of block) {
      image[(at % inner) * outer + Math.floor(at / inner)] = Number(value)
      at += 1
      if (at < size) continue
      yield image
      image = new Uint8Array(size)
      at = 0
    }
  }
}
