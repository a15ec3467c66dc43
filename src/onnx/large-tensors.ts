import { ModelError } from '../errors.js'
import { withFile, type RangedFile } from '../io/ranged-file.js'
import type { OwnPlace } from './tensors.js'
import { WireReader, type WireField } from './wire.js'

/** Field numbers of onnx.proto that lead to the numbers. */
const MODEL_GRAPH = 7
const GRAPH_INITIALIZER = 5
const TENSOR = { name: 8, rawData: 9 } as const

/** Tensors below this are cheap to hold, and cheaper to read with their neighbours. */
const LARGE_TENSOR = 2 ** 18

/** A name takes some hundred bytes. */
const MAX_NAME_BYTES = 64 * 1024

/** A model's bytes without the numbers of its large initializers, and where those lie in the file, by name. */
export interface LightModel {
  readonly bytes: Uint8Array
  readonly places: ReadonlyMap<string, OwnPlace>
}

/** A piece of the light model: bytes of its own, or a range of the file. */
type Piece = Uint8Array | { readonly start: number; readonly end: number }

/**
 * The bytes of an ONNX file but for `raw_data` of large initializers, which are passed over in the file.
 * @returns undefined where the file is no protobuf that can be walked through, so that the decoder may say what is wrong
 */
export async function withoutLargeTensors(path: string): Promise<LightModel | undefined> {
  try {
    return await withFile(path, ModelError, async (file) => {
      const wire = new WireReader(file, ModelError)
      const places = new Map<string, OwnPlace>()
      const model: Piece[] = []
      for await (const field of wire.fields(0, file.size)) {
        if (field.number === MODEL_GRAPH && field.kind === 'bytes')
          model.push(...message(MODEL_GRAPH, await lightGraph(wire, field, places)))
        else model.push(field)
      }
      return { bytes: await joined(file, model), places }
    })
  } catch (error) {
    if (error instanceof ModelError) return undefined
    throw error
  }
}

async function lightGraph(
  wire: WireReader,
  { offset, length }: OwnPlace,
  places: Map<string, OwnPlace>,
): Promise<Piece[]> {
  const pieces: Piece[] = []
  for await (const field of wire.fields(offset, length)) {
    const isLarge =
      field.number === GRAPH_INITIALIZER && field.kind === 'bytes' && field.length >= LARGE_TENSOR
    const light = isLarge ? await lightTensor(wire, field, places) : undefined
    if (light === undefined) pieces.push(field)
    else pieces.push(...message(GRAPH_INITIALIZER, light))
  }
  return pieces
}

/** The parts of an initializer beside its numbers; undefined where they don't lie in one field of raw data. */
async function lightTensor(
  wire: WireReader,
  { offset, length }: OwnPlace,
  places: Map<string, OwnPlace>,
): Promise<Piece[] | undefined> {
  const pieces: WireField[] = []
  let [name, raw] = ['', undefined as OwnPlace | undefined]
  for await (const field of wire.fields(offset, length)) {
    if (field.kind === 'bytes' && field.number === TENSOR.rawData) {
      if (raw !== undefined) return undefined
      raw = { offset: field.offset, length: field.length }
      continue
    }
    if (field.kind === 'bytes' && field.number === TENSOR.name && field.length <= MAX_NAME_BYTES)
      name = new TextDecoder().decode(await wire.bytes(field.offset, field.length))
    pieces.push(field)
  }
  // two initializers of one name are refused when they are decoded
  if (raw === undefined || raw.length < LARGE_TENSOR || places.has(name)) return undefined
  places.set(name, raw)
  return pieces
}

/** A field that is a message made of pieces: its key, its length, the pieces. */
function message(number: number, pieces: readonly Piece[]): Piece[] {
  const length = pieces.reduce((sum, piece) => sum + sizeOf(piece), 0)
  return [Uint8Array.from([...varint((number << 3) | 2), ...varint(length)]), ...pieces]
}

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value % 0x80) | 0x80, ...varint(Math.floor(value / 0x80))]
}

function sizeOf(piece: Piece): number {
  return piece instanceof Uint8Array ? piece.length : piece.end - piece.start
}

/** The pieces one after the other; ranges of the file that follow each other are read at once. */
async function joined(file: RangedFile, pieces: readonly Piece[]): Promise<Uint8Array> {
  const bytes = new Uint8Array(pieces.reduce((sum, piece) => sum + sizeOf(piece), 0))
  let at = 0
  for (const piece of merged(pieces)) {
    const part = bytes.subarray(at, at + sizeOf(piece))
    if (piece instanceof Uint8Array) part.set(piece)
    else await file.readInto(part, piece.start)
    at += part.length
  }
  return bytes
}

function merged(pieces: readonly Piece[]): Piece[] {
  const all: Piece[] = []
  for (const piece of pieces) {
    const last = all.at(-1)
    if (
      last === undefined ||
      piece instanceof Uint8Array ||
      last instanceof Uint8Array ||
      last.end !== piece.start
    )
      all.push(piece)
    else all[all.length - 1] = { start: last.start, end: piece.end }
  }
  return all
}
