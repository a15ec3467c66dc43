import { reasonOf } from '../../errors.js'
import { checkSize, ImageFault, type ImageHeader, type Pixels } from './image.js'

/** The part of the codec's interface that is used. */
interface Codec {
  readonly JPEGDecoder: new () => Decoder
}
interface Decoder {
  /** Memory of the decoder for the file's bytes. */
  getEncodedBuffer(length: number): Uint8Array
  decode(): void
  getDecodedBuffer(): Uint8Array
  delete(): void
}

/** Markers of a JPEG file (ITU-T T.81, table B.1). */
const MARKER = { start: 0xd8, end: 0xd9, scan: 0xda, frameFirst: 0xc0, frameLast: 0xcf } as const
/** In the range of frame headers, but tables. */
const NO_FRAME = [0xc4, 0xc8, 0xcc]

export function isJpeg(bytes: Uint8Array): boolean {
  return bytes[0] === 0xff && bytes[1] === MARKER.start && bytes[2] === 0xff
}

/**
 * What the frame header of a JPEG says (ITU-T T.81, section B.2.2).
 * @throws ImageFault when it is truncated or corrupt, or of four components (CMYK)
 */
export function jpegHeader(bytes: Uint8Array): ImageHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let at = 2; at + 4 <= bytes.length;) {
    if (bytes[at] !== 0xff) throw new ImageFault('corrupt JPEG: a marker is not where it should be')
    const marker = bytes[at + 1]!
    if (marker === 0xff) {
      at += 1
      continue
    }
    if (marker === MARKER.scan || marker === MARKER.end) break
    if (marker >= MARKER.frameFirst && marker <= MARKER.frameLast && !NO_FRAME.includes(marker))
      return frameHeader(view, at)
    at += 2 + view.getUint16(at + 2)
  }
  throw new ImageFault('truncated or corrupt JPEG: it has no frame header')
}

function frameHeader(view: DataView, at: number): ImageHeader {
  if (at + 10 > view.byteLength) throw new ImageFault('truncated JPEG: it ends within its frame header')
  const height = view.getUint16(at + 5)
  const width = view.getUint16(at + 7)
  const components = view.getUint8(at + 9)
  checkSize(width, height)
  if (view.getUint8(at + 4) !== 8) throw new ImageFault('a JPEG of more than 8 bits; save it with 8')
  if (components !== 1 && components !== 3)
    throw new ImageFault(`a JPEG of ${components} components (CMYK); convert it to RGB`)
  return { width, height, channels: components }
}

let codec: Promise<Codec> | undefined

/** Loads libjpeg-turbo on first use. */
function loadCodec(): Promise<Codec> {
  codec ??= import('@cornerstonejs/codec-libjpeg-turbo-8bit/decodewasmjs').then((module) => module.default())
  return codec
}

/** A function that decodes JPEG files as libjpeg-turbo does, whose pixels are PIL's bit for bit. */
export async function jpegDecoder(): Promise<(bytes: Uint8Array) => Pixels> {
  const { JPEGDecoder } = await loadCodec()
  return (bytes) => {
    const { width, height, channels } = jpegHeader(bytes)
    if (!endsAsJpeg(bytes)) throw new ImageFault('truncated JPEG: it has no end marker')
    const decoder = new JPEGDecoder()
    try {
      return { width, height, channels, data: run(decoder, bytes, width * height * channels) }
    } finally {
      decoder.delete()
    }
  }
}

function run(decoder: Decoder, bytes: Uint8Array, length: number): Uint8Array {
  try {
    decoder.getEncodedBuffer(bytes.length).set(bytes)
    decoder.decode()
    const data = Uint8Array.from(decoder.getDecodedBuffer())
    if (data.length === length) return data
    throw new Error(`${data.length} of ${length} bytes`)
  } catch (error) {
    // C++ exceptions come out as a pointer into the library's memory, which says nothing.
    const reason = typeof error === 'number' ? 'libjpeg-turbo refuses it' : reasonOf(error)
    throw new ImageFault(`corrupt JPEG: ${reason}`)
  }
}

/** Whether the end marker is there, possibly with some bytes after it as cameras write. */
function endsAsJpeg(bytes: Uint8Array): boolean {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).includes(
    Buffer.from([0xff, MARKER.end]),
  )
}
