import { ImageFault, type ImageHeader, type Pixels } from './image.js'
import { isJpeg, jpegDecoder, jpegHeader } from './jpeg.js'
import { decodePng, isPng, pngHeader } from './png.js'

/** What the header of a PNG or JPEG says. Throws ImageFault where it is corrupt or of another format. */
export function imageHeader(bytes: Uint8Array): ImageHeader {
  if (isPng(bytes)) return pngHeader(bytes)
  if (isJpeg(bytes)) return jpegHeader(bytes)
  throw otherFormat(bytes)
}

/**
 * A decoder of PNG and JPEG files by their first bytes.
 * @throws ImageFault (the decoder) when an image is corrupt or of another format
 */
export async function imageDecoder(): Promise<(bytes: Uint8Array) => Pixels> {
  const decodeJpeg = await jpegDecoder()
  return (bytes) => {
    if (isPng(bytes)) return decodePng(bytes)
    if (isJpeg(bytes)) return decodeJpeg(bytes)
    throw otherFormat(bytes)
  }
}

const OTHERS: readonly [string, string][] = [
  ['RIFF', 'WebP'],
  ['GIF8', 'GIF'],
  ['II*\0', 'TIFF'],
  ['MM\0*', 'TIFF'],
  ['BM', 'BMP'],
]

function otherFormat(bytes: Uint8Array): ImageFault {
  if (bytes.length === 0) return new ImageFault('an empty image')
  const head = Buffer.from(bytes.subarray(0, 4)).toString('latin1')
  const known = OTHERS.find(([signature]) => head.startsWith(signature))?.[1]
  return new ImageFault(
    known === undefined
      ? 'neither PNG nor JPEG by its first bytes'
      : `a ${known} image; PNG and JPEG are decoded, save images as PNG`,
  )
}
