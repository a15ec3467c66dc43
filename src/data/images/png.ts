import { crc32, inflateSync } from 'node:zlib'
import { decode } from 'fast-png'

import { reasonOf } from '../../errors.js'
import { checkSize, ImageFault, type ImageHeader, type Pixels } from './image.js'

const SIGNATURE = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1')

/** Chunks that pixels depend on. All others (text, colour profiles, animation) are left out, as PIL does for pixels. */
const CRITICAL = ['IHDR', 'PLTE', 'IDAT', 'IEND']

const COLOUR = { gray: 0, rgb: 2, palette: 3, grayAlpha: 4, rgbAlpha: 6 } as const

export function isPng(bytes: Uint8Array): boolean {
  return SIGNATURE.equals(bytes.subarray(0, SIGNATURE.length))
}

interface Header extends ImageHeader {
  readonly depth: number
  readonly colour: number
  readonly interlaced: boolean
}

/**
 * What the header of a PNG says (W3C PNG, section 11.2.1).
 * @throws ImageFault when it is corrupt, or of 16 bits a channel
 */
export function pngHeader(bytes: Uint8Array): Header {
  if (bytes.length < 33) throw new ImageFault(`truncated PNG of ${bytes.length} bytes`)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (view.getUint32(12) !== 0x49484452)
    throw new ImageFault('corrupt PNG: it does not begin with its header')
  const [depth = 0, colour = 0, , , interlace = 0] = bytes.subarray(24, 29)
  const width = view.getUint32(16)
  const height = view.getUint32(20)
  checkSize(width, height)
  if (!(Object.values(COLOUR) as number[]).includes(colour))
    throw new ImageFault(`corrupt PNG: colour type ${colour}`)
  if (depth === 16) throw new ImageFault('a PNG of 16 bits a channel; save images with 8 bits')
  if (![1, 2, 4, 8].includes(depth) || (depth < 8 && colour !== COLOUR.gray && colour !== COLOUR.palette))
    throw new ImageFault(`corrupt PNG: ${depth} bits a channel`)
  const interlaced = interlace !== 0
  if (interlaced && depth < 8)
    throw new ImageFault('an interlaced PNG of less than 8 bits; save it without interlacing')
  const channels = colour === COLOUR.gray || colour === COLOUR.grayAlpha ? 1 : 3
  const alpha = colour === COLOUR.grayAlpha || colour === COLOUR.rgbAlpha
  return {
    width,
    height,
    channels,
    depth,
    colour,
    interlaced,
    ...(alpha && { dropped: 'transparency is left out, as PIL does when it converts to RGB or L' }),
  }
}

/**
 * The pixels of a PNG as PIL gives them after `convert('RGB')` (colour, palette) or `convert('L')` (gray).
 * @throws ImageFault when a checksum is wrong, or it is truncated or corrupt
 */
export function decodePng(bytes: Uint8Array): Pixels {
  const header = pngHeader(bytes)
  const chunks = readChunks(bytes)
  checkPixelBytes(chunks, header)
  let decoded: ReturnType<typeof decode>
  try {
    decoded = decode(Buffer.concat([SIGNATURE, ...chunks.map(({ whole }) => whole)]))
  } catch (error) {
    throw new ImageFault(`corrupt PNG: ${reasonOf(error)}`)
  }
  const { width, height, channels } = header
  const samples = header.depth === 8 ? decoded.data : unpack(decoded.data, header)
  return { width, height, channels, data: toPixels(samples, header, decoded.palette) }
}

interface Chunk {
  readonly type: string
  /** Length, type, data and checksum. */
  readonly whole: Uint8Array
  readonly data: Uint8Array
}

/** The chunks that matter, each with its checksum verified. */
function readChunks(bytes: Uint8Array): Chunk[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const chunks: Chunk[] = []
  for (let at = SIGNATURE.length; chunks.at(-1)?.type !== 'IEND';) {
    if (at + 12 > bytes.length) throw new ImageFault('truncated PNG: it ends before its last chunk')
    const length = view.getUint32(at)
    const type = Buffer.from(bytes.subarray(at + 4, at + 8)).toString('latin1')
    if (at + 12 + length > bytes.length)
      throw new ImageFault(`truncated PNG: it ends within its chunk ${type}`)
    if (crc32(bytes.subarray(at + 4, at + 8 + length)) !== view.getUint32(at + 8 + length))
      throw new ImageFault(`corrupt PNG: the checksum of its chunk ${type} is wrong`)
    const whole = bytes.subarray(at, at + 12 + length)
    if (CRITICAL.includes(type)) chunks.push({ type, whole, data: bytes.subarray(at + 8, at + 8 + length) })
    at += 12 + length
  }
  return chunks
}

/** What is packed must be as much as the header says: the library takes any amount, and fills what is missing with zeros. */
function checkPixelBytes(chunks: readonly Chunk[], header: Header): void {
  const packed = Buffer.concat(chunks.filter(({ type }) => type === 'IDAT').map(({ data }) => data))
  const needed = filteredBytes(header)
  let size: number
  try {
    size = inflateSync(packed, { maxOutputLength: needed }).length
  } catch (error) {
    throw new ImageFault(`corrupt PNG: its pixels can't be unpacked: ${reasonOf(error)}`)
  }
  if (size !== needed) throw new ImageFault(`corrupt PNG: ${size} of ${needed} bytes of pixels are there`)
}

/** First row, first column and steps of the seven passes of Adam7. */
const ADAM7 = [
  [0, 0, 8, 8],
  [0, 4, 8, 8],
  [4, 0, 8, 4],
  [0, 2, 4, 4],
  [2, 0, 4, 2],
  [0, 1, 2, 2],
  [1, 0, 2, 1],
] as const

/** Bytes of all rows, each with the byte that names its filter. */
function filteredBytes({ width, height, depth, colour, interlaced }: Header): number {
  const bits = depth * samplesOf(colour)
  const rows = (columns: number, count: number): number =>
    columns === 0 || count === 0 ? 0 : count * (1 + Math.ceil((columns * bits) / 8))
  if (!interlaced) return rows(width, height)
  const part = (size: number, from: number, step: number): number =>
    Math.max(0, Math.ceil((size - from) / step))
  return ADAM7.reduce(
    (sum, [row, column, rowStep, columnStep]) =>
      sum + rows(part(width, column, columnStep), part(height, row, rowStep)),
    0,
  )
}

function samplesOf(colour: number): number {
  return colour === COLOUR.rgb ? 3 : colour === COLOUR.rgbAlpha ? 4 : colour === COLOUR.grayAlpha ? 2 : 1
}

/** Samples of less than a byte, one to a byte; rows begin at whole bytes. */
function unpack(packed: ArrayLike<number>, { width, height, depth }: Header): Uint8Array {
  const rowBytes = Math.ceil((width * depth) / 8)
  const samples = new Uint8Array(width * height)
  const mask = 2 ** depth - 1
  for (let row = 0; row < height; row += 1) {
    for (let column = 0; column < width; column += 1) {
      const bit = column * depth
      const byte = packed[row * rowBytes + (bit >> 3)]!
      samples[row * width + column] = (byte >> (8 - depth - (bit & 7))) & mask
    }
  }
  return samples
}

function toPixels(
  samples: ArrayLike<number>,
  header: Header,
  palette: readonly number[][] | undefined,
): Uint8Array {
  const { width, height, channels, colour, depth } = header
  const count = width * height
  const data = new Uint8Array(count * channels)
  if (colour === COLOUR.palette) {
    for (let i = 0; i < count; i += 1) {
      const entry = palette?.[samples[i]!]
      if (entry === undefined) throw new ImageFault(`corrupt PNG: no colour ${samples[i]!} in its palette`)
      data.set(entry.slice(0, 3), i * 3)
    }
    return data
  }
  const stride = samplesOf(colour)
  const scale = 255 / (2 ** depth - 1)
  for (let i = 0; i < count; i += 1)
    for (let c = 0; c < channels; c += 1) data[i * channels + c] = samples[i * stride + c]! * scale
  return data
}
