import type { Dataset, File as H5File } from 'h5wasm/node'

import { BYTES_PER_ELEMENT, elementCount, type DType } from '../tensor.js'
import { reasonOf } from '../errors.js'
import type { ErrorClass } from './corrupt.js'
import { withFile } from './ranged-file.js'
import { MAX_DEFLATE_RATIO } from './zip.js'

type H5Wasm = typeof import('h5wasm/node')

const SIGNATURE = [0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a]

/** The classes of HDF5 types that hold numbers (H5T_class_t): integers, floats, and enumerations for booleans. */
const TYPE_CLASS = { integer: 0, float: 1, enumeration: 8 } as const

/** A dataset at the root of an HDF5 file. `dtype` is absent for types that are no numbers (strings, compounds). */
export interface Hdf5Dataset {
  readonly name: string
  readonly shape: readonly number[]
  readonly dtype: DType | undefined
}

/** True when the bytes start with the signature of HDF5. */
export function looksLikeHdf5(head: Uint8Array): boolean {
  return SIGNATURE.every((byte, i) => head[i] === byte)
}

let library: Promise<H5Wasm> | undefined

/** Loads the HDF5 library on first use, since its WebAssembly takes long to start; its errors are thrown, not printed. */
function loadLibrary(): Promise<H5Wasm> {
  library ??= (async () => {
    const h5wasm = await import('h5wasm/node')
    const module = await h5wasm.ready
    module.activate_throwing_error_handler()
    return h5wasm
  })()
  return library
}

/** An open HDF5 file, of which slices of the datasets at its root are read. Links to other files are not followed. */
export class Hdf5File {
  private constructor(
    readonly path: string,
    readonly size: number,
    private readonly h5: H5Wasm,
    private readonly file: H5File,
    private readonly Fault: ErrorClass,
  ) {}

  /** @throws Fault when the file is no HDF5, truncated or corrupt */
  static async open(path: string, Fault: ErrorClass): Promise<Hdf5File> {
    const { head, size } = await withFile(path, Fault, async (file) => ({
      head: await file.read(0, Math.min(file.size, SIGNATURE.length)),
      size: file.size,
    }))
    if (!looksLikeHdf5(head)) throw new Fault(`${path}: not an HDF5 file`)
    const h5 = await loadLibrary()
    const file = guard(path, Fault, 'cannot be opened as HDF5', () => new h5.File(path, 'r'))
    return new Hdf5File(path, size, h5, file, Fault)
  }

  /** The datasets at the root, in the file's order. */
  datasets(): Hdf5Dataset[] {
    return this.guard('cannot list its datasets', () => {
      const names = this.file.keys().filter((name) => !this.isLinkByName(name))
      return names.flatMap((name) => {
        const entity = this.file.get(name)
        if (!(entity instanceof this.h5.Dataset)) return []
        return [{ name, shape: entity.shape ?? [], dtype: dtypeOf(entity) }]
      })
    })
  }

  /** A text attribute of the root group, or undefined where there is none. */
  textAttribute(name: string): string | undefined {
    return this.guard(`cannot read attribute '${name}'`, () => {
      if (!Object.keys(this.file.attrs).includes(name)) return undefined
      const value = this.file.get_attribute(name, false)
      return typeof value === 'string' ? value : undefined
    })
  }

  /**
   * The little-endian bytes of a box of a dataset: `count` elements along each axis from `offset`. The caller has
   * taken name, dtype and extent from `datasets`.
   * @throws Fault when the dataset is corrupt or keeps its values in other files
   */
  read(dataset: Hdf5Dataset, offset: readonly number[], count: readonly number[]): Uint8Array<ArrayBuffer> {
    const { name, dtype } = dataset
    if (dtype === undefined) throw new this.Fault(`${this.path}: dataset '${name}' does not hold numbers`)
    const length = elementCount(count) * BYTES_PER_ELEMENT[dtype]
    return this.guard(`cannot read dataset '${name}'`, () => this.copyOut(name, offset, count, length))
  }

  close(): void {
    this.file.close()
  }

  /**
   * Why a dataset cannot be what it claims, or undefined where it can: no compression that HDF5 knows makes so much of
   * so few bytes. To be asked before memory is taken.
   */
  faultOf(dataset: Hdf5Dataset): string | undefined {
    const bytes = elementCount(dataset.shape) * BYTES_PER_ELEMENT[dataset.dtype ?? 'uint8']
    if (bytes <= this.size * MAX_DEFLATE_RATIO) return undefined
    return `claims ${bytes} bytes in a file of ${this.size}: corrupt, or never written`
  }

  private copyOut(
    name: string,
    offset: readonly number[],
    count: readonly number[],
    length: number,
  ): Uint8Array<ArrayBuffer> {
    const entity = this.file.get(name)
    if (!(entity instanceof this.h5.Dataset)) throw new Error('no such dataset')
    if (entity.metadata.virtual_sources) throw new Error('its values are in other files (a virtual dataset)')
    const module = this.h5.Module
    const pointer = module._malloc(length)
    if (pointer === 0 && length > 0) throw new Error(`no memory for ${length} bytes`)
    try {
      const big = (values: readonly number[]): bigint[] => values.map(BigInt)
      const strides = count.map(() => 1n)
      module.get_dataset_data(
        this.file.file_id,
        entity.path,
        big(count),
        big(offset),
        strides,
        BigInt(pointer),
      )
      return new Uint8Array(module.HEAPU8.subarray(pointer, pointer + length))
    } finally {
      module._free(pointer)
    }
  }

  /** A link by name may lead into any other file; only what lies in this one is read. */
  private isLinkByName(name: string): boolean {
    const symbolic = this.file.get_link(`/${name}`) as string | null
    return symbolic !== null || 'filename' in this.file.get_external_link(`/${name}`)
  }

  private guard<T>(what: string, read: () => T): T {
    return guard(this.path, this.Fault, what, read)
  }
}

function guard<T>(path: string, Fault: ErrorClass, what: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    throw new Fault(`${path}: ${what}: ${innermostReason(reasonOf(error))}`)
  }
}

/** HDF5 reports a stack of errors, outermost first; the last entry with a text says what really happened. */
function innermostReason(report: string): string {
  if (report.includes('plugin'))
    return 'it is compressed by a filter that is not part of HDF5; save it with gzip or none'
  const entries = [...report.matchAll(/^\s+#\d+: .*? in \w+\(\): (.+)$/gm)]
  return entries.at(-1)?.[1] ?? report.split('\n')[0]!
}

function dtypeOf(dataset: Dataset): DType | undefined {
  const { type, size, signed, enum_type } = dataset.metadata
  if (type === TYPE_CLASS.float) {
    return size === 8 ? 'float64' : size === 4 ? 'float32' : size === 2 ? 'float16' : undefined
  }
  if (type === TYPE_CLASS.integer) return integerType(size, signed)
  if (type === TYPE_CLASS.enumeration && size === 1 && enum_type?.nmembers === 2) return 'bool'
  return undefined
}

function integerType(size: number, signed: boolean): DType | undefined {
  switch (size) {
    case 1:
      return signed ? 'int8' : 'uint8'
    case 2:
      return signed ? 'int16' : 'uint16'
    case 4:
      return signed ? 'int32' : 'uint32'
    case 8:
      return signed ? 'int64' : 'uint64'
    default:
      return undefined
  }
}
