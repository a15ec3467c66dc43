/** A decoded image: rows of pixels of `channels` bytes each, as numpy.asarray of a PIL image has them. */
export interface Pixels {
  readonly height: number
  readonly width: number
  /** 1 for gray, 3 for red, green, blue. */
  readonly channels: 1 | 3
  readonly data: Uint8Array
}

/** What an image's header says. */
export interface ImageHeader {
  readonly height: number
  readonly width: number
  readonly channels: 1 | 3
  /** What is not kept of the image, for a note. */
  readonly dropped?: string
}

/** Images of training data have some thousand pixels a side; more is a decompression bomb, or needs scaling first. */
const MAX_PIXELS = 2 ** 25

/** Thrown for an image that is corrupt or of a kind that is not read; who knows the row adds it. */
export class ImageFault extends Error {}

/** @throws ImageFault when an image is empty or larger than is decoded */
export function checkSize(width: number, height: number): void {
  if (width === 0 || height === 0) throw new ImageFault(`corrupt: its size is ${width} x ${height}`)
  if (width * height > MAX_PIXELS) {
    throw new ImageFault(
      `${width} x ${height} pixels; images of up to ${MAX_PIXELS} pixels are decoded: scale them as the network takes them`,
    )
  }
}
