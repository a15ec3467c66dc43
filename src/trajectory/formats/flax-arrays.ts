import { CheckpointError } from '../../errors.js'
import { MsgpackReader, type MsgpackValue } from '../../io/msgpack.js'
import type { RangedFile } from '../../io/ranged-file.js'
import { BYTES_PER_ELEMENT, DTYPES, elementCount, FLOAT8_DTYPES, type StoredDType } from '../../tensor.js'

/** A place in a file: [begin, end). */
export interface Piece {
  readonly begin: number
  readonly end: number
}

/** An array of a Flax file; large ones lie in several pieces. */
export interface FlaxArray {
  readonly shape: readonly number[]
  readonly dtype: StoredDType
  readonly unsupported?: string
  readonly pieces: readonly Piece[]
}

/** What a Flax file holds, as its dictionaries nest: arrays, numbers; all else is left out. */
export type FlaxNode = FlaxArray | number | FlaxTree
export type FlaxTree = ReadonlyMap<string, FlaxNode>

/** Extension types of Flax (flax/serialization.py, `_MsgpackExtType`): an array, and a NumPy scalar in the same form. */
const ARRAY_TYPES = [1, 3]

/** The key of a dictionary that is an array in pieces (flax/serialization.py, `_chunk`). */
const CHUNKED = '__msgpack_chunked_array__'

/** NumPy's names of the types that are read are those of this project. */
const READ: ReadonlySet<string> = new Set<string>([...DTYPES, ...FLOAT8_DTYPES])

/** Other names of floats: weights all the same. */
const UNREAD_FLOAT = /^(?:float|bfloat|void16$|void8$)/

/**
 * What a file of flax.serialization holds. Headers only: of arrays the places are kept.
 * @throws CheckpointError when it is corrupt or truncated
 */
export async function readFlaxTree(file: RangedFile): Promise<FlaxTree> {
  const reader = new MsgpackReader(file, CheckpointError)
  const node = await new TreeBuilder(file, reader).node(await reader.valueIn(0, file.size))
  if (node instanceof Map) return node as FlaxTree
  throw new CheckpointError(`${file.path}: corrupt: its content is no dictionary`)
}

class TreeBuilder {
  constructor(
    private readonly file: RangedFile,
    private readonly reader: MsgpackReader,
  ) {}

  async node(value: MsgpackValue): Promise<FlaxNode | undefined> {
    switch (value.kind) {
      case 'number':
        return value.value
      case 'extension':
        return ARRAY_TYPES.includes(value.type) ? this.array(value) : undefined
      case 'list':
        return this.tree(value.items.entries())
      case 'map':
        return value.entries.has(CHUNKED) ? this.chunked(value.entries) : this.tree(value.entries)
      default:
        return undefined
    }
  }

  private async tree(entries: Iterable<[string | number, MsgpackValue]>): Promise<FlaxTree> {
    const tree = new Map<string, FlaxNode>()
    for (const [key, value] of entries) {
      const node = await this.node(value)
      if (node !== undefined) tree.set(String(key), node)
    }
    return tree
  }

  /** An extension's bytes are MessagePack again: (shape, type's name, values in row-major order). */
  private async array({ begin, end }: Piece): Promise<FlaxArray> {
    const content = await this.reader.valueIn(begin, end)
    const [shape, type, values] = content.kind === 'list' ? content.items : []
    if (shape?.kind !== 'list' || type?.kind !== 'text' || values?.kind !== 'bytes')
      throw this.corrupt(begin, 'is not made of shape, type and values')
    const sizes = shape.items.map((size) => (size.kind === 'number' ? size.value : NaN))
    return this.checked(begin, sizes, type.value, [{ begin: values.begin, end: values.end }])
  }

  private async chunked(entries: ReadonlyMap<string, MsgpackValue>): Promise<FlaxArray> {
    const shape = await this.inOrder(entries.get('shape'))
    const chunks = await this.inOrder(entries.get('chunks'))
    const sizes = shape.map((size) => (typeof size === 'number' ? size : NaN))
    const arrays = chunks.filter((chunk) => isArray(chunk))
    const [first] = arrays
    if (first === undefined || arrays.length < chunks.length)
      throw this.corrupt(0, 'in pieces has a piece that is no array')
    if (arrays.some(({ dtype, unsupported }) => dtype !== first.dtype || unsupported !== first.unsupported))
      throw this.corrupt(first.pieces[0]!.begin, 'in pieces is of several types')
    const pieces = arrays.flatMap((array) => array.pieces)
    return this.checked(pieces[0]!.begin, sizes, first.unsupported ?? first.dtype, pieces)
  }

  /** The values of a dictionary whose keys are 0, 1, 2 ..., as Flax writes tuples. */
  private async inOrder(value: MsgpackValue | undefined): Promise<(FlaxNode | undefined)[]> {
    if (value?.kind !== 'map') return []
    const nodes: (FlaxNode | undefined)[] = []
    for (let i = 0; i < value.entries.size; i++) {
      const entry = value.entries.get(String(i))
      nodes.push(entry === undefined ? undefined : await this.node(entry))
    }
    return nodes
  }

  private checked(at: number, shape: readonly number[], type: string, pieces: readonly Piece[]): FlaxArray {
    if (shape.some((size) => !Number.isSafeInteger(size) || size < 0))
      throw this.corrupt(at, `has the shape [${shape.join(', ')}]`)
    if (!READ.has(type))
      return { shape, dtype: UNREAD_FLOAT.test(type) ? 'float16' : 'uint8', unsupported: type, pieces }
    const dtype = type as StoredDType
    const needed = elementCount(shape) * BYTES_PER_ELEMENT[dtype]
    const held = pieces.reduce((sum, { begin, end }) => sum + end - begin, 0)
    if (needed === held) return { shape, dtype, pieces }
    throw this.corrupt(
      at,
      `of shape [${shape.join(', ')}] and ${type} takes ${needed} bytes, its place has ${held}`,
    )
  }

  private corrupt(at: number, what: string): CheckpointError {
    return new CheckpointError(`${this.file.path}: corrupt: the array at byte ${at} ${what}`)
  }
}

export function isArray(node: FlaxNode | undefined): node is FlaxArray {
  return typeof node === 'object' && !(node instanceof Map)
}

export function isTree(node: FlaxNode | undefined): node is FlaxTree {
  return node instanceof Map
}
