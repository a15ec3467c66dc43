import { DataError } from '../../errors.js'
import { formatShape, sameShape, type TypedArray } from '../../tensor.js'
import type { ReadableArray, StoredArray } from '../stored-array.js'

/**
 * The arrays of several files that are parts of one data set, one after the other along the samples.
 * @param parts the arrays of each file, in the files' order
 * @throws DataError that names the file whose arrays differ from those of the first
 */
export function concatArrays<T extends StoredArray>(
  path: string,
  files: readonly { readonly path: string }[],
  parts: readonly (readonly T[])[],
): T[] {
  const [first = []] = parts
  return first.map((array) => {
    const pieces = parts.map((arrays, file) => {
      const piece = arrays.find(({ name }) => name === array.name)
      if (piece !== undefined) return piece
      throw new DataError(`${files[file]!.path} has no ${array.name}, but ${files[0]!.path} has`)
    })
    return concatOne(path, files, pieces)
  })
}

function concatOne<T extends StoredArray>(
  path: string,
  files: readonly { readonly path: string }[],
  pieces: readonly T[],
): T {
  const [first] = pieces
  const refused = pieces.find((piece) => !('dtype' in piece))
  if (refused !== undefined) return refused
  const readable = pieces as readonly (T & ReadableArray)[]
  const known = readable.find(({ shape }) => shape[0] !== 0) ?? readable[0]!
  const filled = readable.filter(({ shape }) => shape[0] !== 0)
  for (const [at, piece] of readable.entries()) {
    if (piece.shape[0] === 0) continue
    const same = piece.dtype === known.dtype && sameShape(piece.shape.slice(1), known.shape.slice(1))
    if (same) continue
    throw new DataError(
      `${files[at]!.path}: ${piece.name} is ${describe(piece)}, but ${describe(known)} in ${known.where}: parts of one data set must agree`,
    )
  }
  const samples = readable.reduce((sum, { shape }) => sum + shape[0]!, 0)
  const blocks = async function* (): AsyncGenerator<TypedArray> {
    for (const piece of filled) yield* piece.blocks()
  }
  const notes = [...new Set(readable.flatMap((piece) => piece.notes ?? []))]
  const where = `${path}: ${first!.name}`
  return {
    ...known,
    where,
    shape: [samples, ...known.shape.slice(1)],
    blocks,
    ...(notes.length > 0 && { notes }),
  }
}

function describe({ dtype, shape }: ReadableArray): string {
  return `${dtype} ${formatShape(shape.slice(1))}`
}
