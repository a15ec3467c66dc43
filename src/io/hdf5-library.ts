import { Dataset, File as H5File, Group, ready, type Metadata } from 'h5wasm'

import { elementCount } from '../tensor.js'
import { cutBox, placeBox, type Box } from './hdf5-boxes.js'
import type {
  DescribeRequest,
  Hdf5Dataset,
  Hdf5Description,
  Hdf5Group,
  ReadRequest,
} from './hdf5-protocol.js'
import { allowMemory, limitMemory } from './hdf5-memory.js'
import { dtypeOf, TYPE_CLASS, typeText } from './hdf5-types.js'
import { joinPath } from './join-path.js'
import type { Hdf5Window } from './hdf5-window.js'
import { MAX_DEFLATE_RATIO } from './zip.js'

/** Layers nest some ten deep; far deeper are links that go round in a circle. */
const MAX_DEPTH = 32
/** The largest models of Keras have some thousand variables. */
const MAX_OBJECTS = 100_000
/** An attribute of a group is at most 64 KiB, or text of a heap: lists of names. */
const MAX_ATTRIBUTE_BYTES = 16 * 2 ** 20
/** Values are taken out of the library's memory, which never shrinks, in pieces of about this size. */
const PIECE_BYTES = 16 * 2 ** 20
/** The library keeps some 4 KB for each chunk of a piece, which is more than small chunks themselves. */
const PIECE_CHUNKS = 2048

/** A chunk is held packed, unpacked and in the buffers of the filters between. */
const CHUNK_COPIES = 4

const MOUNT = '/file.h5'

/** What the library calls on a file of its own file system (Emscripten's FS). */
interface FileNode {
  usedBytes: number
  stream_ops: {
    read: (stream: unknown, memory: Int8Array, at: number, length: number, position: number) => number
  }
}

interface FileSystem {
  create(path: string, mode: number): FileNode
  unlink(path: string): void
}

const module = await ready
module.activate_throwing_error_handler()
const fileSystem = module.FS as unknown as FileSystem

limitMemory(module.HEAPU8.length)

/**
 * An open HDF5 file. Whatever throws here leaves the library in the middle of a call: it is not to be used again.
 */
export class OpenHdf5 {
  private readonly file: H5File

  constructor(private readonly window: Hdf5Window) {
    const node = fileSystem.create(MOUNT, 0o444)
    node.usedBytes = window.length
    node.stream_ops = {
      ...node.stream_ops,
      read: (_, memory, at, length, position) =>
        window.read(new Uint8Array(memory.buffer, memory.byteOffset + at, length), position),
    }
    window.allow(0)
    allowMemory(window.length)
    this.file = new H5File(MOUNT, 'r')
  }

  close(): void {
    this.file.close()
    fileSystem.unlink(MOUNT)
    this.window.close()
  }

  describe({ nested, attributes, skip }: DescribeRequest): Hdf5Description {
    this.window.allow(0)
    const walk: Walk = { groups: [], datasets: [], attributes, skip, objects: 0 }
    this.describeGroup(this.file, '', nested ? MAX_DEPTH : 0, walk)
    const { groups, datasets } = walk
    return { groups, datasets }
  }

  /** The little-endian bytes of a box of a dataset. */
  read({ dataset, offset, count, bytesPerElement }: ReadRequest): Uint8Array<ArrayBuffer> {
    const metadata = module.get_dataset_metadata(this.file.file_id, `/${dataset}`)
    if (metadata.virtual_sources !== undefined)
      throw new Error('its values are in other files (a virtual dataset)')
    // the library would write beyond the memory that it is given
    if (metadata.size !== bytesPerElement) throw new Error('the file has changed since it was opened')
    const length = elementCount(count) * bytesPerElement
    const chunkElements = elementCount(metadata.chunks ?? [0])
    const chunk = Math.min(chunkElements * bytesPerElement, this.window.length * MAX_DEFLATE_RATIO)
    this.window.allow(length)
    allowMemory(this.window.length + CHUNK_COPIES * chunk)
    const bytes = new Uint8Array(length)
    const whole = { offset, count }
    const most = Math.min(PIECE_BYTES / bytesPerElement, chunkElements * PIECE_CHUNKS || Infinity)
    for (const part of cutBox(whole, metadata.chunks ?? [], most))
      this.copyOut(dataset, part, bytesPerElement, (values) => {
        placeBox(bytes, whole, values, part, bytesPerElement)
      })
    return bytes
  }

  private describeGroup(group: Group, path: string, depth: number, walk: Walk): void {
    walk.groups.push({ path, attributes: this.textAttributes(`/${path}`, walk.attributes) })
    for (const name of group.keys()) {
      this.window.moved()
      if (++walk.objects > MAX_OBJECTS) throw new Error(`more than ${MAX_OBJECTS} objects`)
      if (name === '' || name === '.' || name.includes('/')) throw new Error(`an object is named '${name}'`)
      const inner = joinPath(path, name)
      if (walk.skip.test(inner) || this.isSoftLink(`/${inner}`)) continue
      const entity = this.file.get(`/${inner}`)
      if (entity instanceof Dataset) walk.datasets.push(this.describeDataset(entity, inner))
      else if (!(entity instanceof Group)) continue
      else if (depth > 0) this.describeGroup(entity, inner, depth - 1, walk)
      else if (path !== '') throw new Error(`groups are nested deeper than ${MAX_DEPTH}`)
      else walk.groups.push({ path: inner, attributes: new Map() })
    }
  }

  private describeDataset(dataset: Dataset, name: string): Hdf5Dataset {
    const { metadata } = dataset
    const attributes =
      metadata.type === TYPE_CLASS.opaque ? this.textAttributes(`/${name}`, /^dtype$/) : undefined
    return {
      name,
      shape: metadata.shape ?? [],
      dtype: metadata.shape === null ? undefined : dtypeOf(metadata, attributes?.get('dtype')?.[0]),
      type: typeText(metadata),
      isChunked: metadata.chunks !== null,
    }
  }

  private textAttributes(path: string, wanted: RegExp): ReadonlyMap<string, readonly string[]> {
    const names = module.get_attribute_names(this.file.file_id, path).filter((name) => wanted.test(name))
    return new Map(
      names.flatMap((name) => {
        const text = this.text(path, name)
        return text === undefined ? [] : [[name, text] as const]
      }),
    )
  }

  /** The text or texts of an attribute; undefined where it holds something else. */
  private text(path: string, name: string): readonly string[] | undefined {
    const id = this.file.file_id
    const metadata: Metadata = module.get_attribute_metadata(id, path, name)
    if (metadata.type !== TYPE_CLASS.text || metadata.shape === null) return undefined
    if (metadata.size * metadata.total_size > Math.min(MAX_ATTRIBUTE_BYTES, this.window.length))
      throw new Error(`attribute '${name}' claims ${metadata.size * metadata.total_size} bytes`)
    const owner = new Group(id, path)
    const value: unknown = owner.get_attribute(name, false)
    const list: readonly unknown[] = Array.isArray(value) ? value : [value]
    return list.every((item) => typeof item === 'string') ? list : undefined
  }

  /** Soft links are passed over, since they name things twice. External ones lead nowhere: there is no other file. */
  private isSoftLink(path: string): boolean {
    return (module.get_symbolic_link(this.file.file_id, path) as string | null) !== null
  }

  /** Reads a box into the library's memory and hands out its bytes there. */
  private copyOut(
    dataset: string,
    { offset, count }: Box,
    bytesPerElement: number,
    take: (values: Uint8Array) => void,
  ): void {
    const length = elementCount(count) * bytesPerElement
    const pointer = module._malloc(length)
    if (pointer === 0) throw new Error(`no memory for ${length} bytes`)
    // of a single number HDF5 takes no box
    const big = (values: readonly number[]): bigint[] | null =>
      values.length === 0 ? null : values.map(BigInt)
    const strides = big(count.map(() => 1))
    const id = this.file.file_id
    module.get_dataset_data(id, `/${dataset}`, big(count), big(offset), strides, BigInt(pointer))
    take(module.HEAPU8.subarray(pointer, pointer + length))
    module._free(pointer)
  }
}

/** What has been found so far, and what is looked for. */
interface Walk {
  readonly groups: Hdf5Group[]
  readonly datasets: Hdf5Dataset[]
  readonly attributes: RegExp
  readonly skip: RegExp
  objects: number
}
