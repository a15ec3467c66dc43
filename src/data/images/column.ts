import { DataError } from '../../errors.js'
import { formatShape, type TypedArray } from '../../tensor.js'
import type { StoredArray } from '../stored-array.js'
import { imageDecoder, imageHeader } from './decode.js'
import { ImageFault, type ImageHeader, type Pixels } from './image.js'

/** Decoded pixels are handed on in blocks of about this size. */
const BLOCK_BYTES = 2 ** 22

/** A column of images as its file stores it. */
export interface ImageColumn {
  readonly name: string
  /** The file and the column, for messages. */
  readonly where: string
  readonly rows: number
  /** The bytes of every image file, in order; undefined where there are none. */
  cells(): AsyncIterable<readonly (Uint8Array | undefined)[]>
}

/**
 * A column of PNG or JPEG images as an array uint8 [N, H, W, C], C being 1 or 3. Its shape is that of the first image;
 * all others must be alike.
 */
export async function imageArray(column: ImageColumn): Promise<StoredArray> {
  const { name, where, rows } = column
  const refuse = (refusal: string): StoredArray => ({ name, shape: [rows], type: 'images', refusal })
  let header: ImageHeader
  try {
    header = imageHeader(await firstCell(column))
  } catch (error) {
    if (error instanceof ImageFault) return refuse(`can't be decoded: row 0 holds ${error.message}`)
    if (error instanceof NoImage) return refuse(error.message)
    throw error
  }
  const { height, width, channels, dropped } = header
  return {
    name,
    where,
    dtype: 'uint8',
    shape: [rows, height, width, channels],
    order: 'row-major',
    layout: 'channels-last',
    ...(dropped !== undefined && { notes: [`${where}: ${dropped}`] }),
    blocks: () => decodeAll(column, header),
  }
}

class NoImage extends Error {}

async function firstCell(column: ImageColumn): Promise<Uint8Array> {
  for await (const cells of column.cells()) {
    if (cells.length === 0) continue
    if (cells[0] !== undefined) return cells[0]
    throw new NoImage(noBytes(0))
  }
  throw new NoImage('has no rows')
}

function noBytes(row: number): string {
  return `has no image in row ${row}, at most a path to one: embed the files with datasets.table.embed_table_storage, or push_to_hub and to_parquet of datasets`
}

async function* decodeAll(column: ImageColumn, first: ImageHeader): AsyncGenerator<TypedArray> {
  const decode = await imageDecoder()
  const imageBytes = first.height * first.width * first.channels
  const inBlock = Math.max(1, Math.floor(BLOCK_BYTES / imageBytes))
  let block = new Uint8Array(inBlock * imageBytes)
  let held = 0
  let row = 0
  for await (const cells of column.cells()) {
    for (const cell of cells) {
      block.set(decodeCell(column, decode, cell, row, first), held * imageBytes)
      row += 1
      held += 1
      if (held < inBlock) continue
      yield block
      block = new Uint8Array(inBlock * imageBytes)
      held = 0
    }
  }
  if (held > 0) yield block.subarray(0, held * imageBytes)
}

function decodeCell(
  { where }: ImageColumn,
  decode: (bytes: Uint8Array) => Pixels,
  cell: Uint8Array | undefined,
  row: number,
  first: ImageHeader,
): Uint8Array {
  if (cell === undefined) throw new DataError(`${where} ${noBytes(row)}`)
  try {
    // The header first: a size that differs is found without unpacking it.
    const header = imageHeader(cell)
    if (sizeOf(header) !== sizeOf(first)) throw new DataError(`${where}: ${differs(row, header, first)}`)
    return decode(cell).data
  } catch (error) {
    if (error instanceof ImageFault)
      throw new DataError(`${where}: the image in row ${row} is ${error.message}`)
    throw error
  }
}

function sizeOf({ height, width, channels }: ImageHeader): string {
  return formatShape([height, width, channels])
}

function differs(row: number, header: ImageHeader, first: ImageHeader): string {
  const remedy =
    header.channels === first.channels
      ? `resize them as for training: ds.map(lambda r: {"image": r["image"].resize((${first.width}, ${first.height}))})`
      : 'make them alike: ds.map(lambda r: {"image": r["image"].convert("RGB")})'
  return `the image in row ${row} is ${sizeOf(header)} (height, width, channels), that in row 0 is ${sizeOf(first)}; ${remedy}`
}
