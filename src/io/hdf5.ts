import { BYTES_PER_ELEMENT, elementCount } from '../tensor.js'
import { reasonOf } from '../errors.js'
import type { ErrorClass } from './corrupt.js'
import { askHdf5 } from './hdf5-client.js'
import type { Hdf5Dataset, Hdf5Description, Hdf5Group, Hdf5Source } from './hdf5-protocol.js'
import { withFile } from './ranged-file.js'
import { MAX_DEFLATE_RATIO } from './zip.js'

export type { Hdf5Dataset, Hdf5Group, Hdf5Source } from './hdf5-protocol.js'

const SIGNATURE = [0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a]

/** True when the bytes start with the signature of HDF5. */
export function looksLikeHdf5(head: Uint8Array): boolean {
  return SIGNATURE.every((byte, i) => head[i] === byte)
}

/** What is wanted of a file when it is opened. */
export interface Hdf5Options {
  /** Look into groups as well; else only what lies at the root is listed. */
  readonly nested?: boolean
  /** The names of the attributes of groups that are read where they hold text; none by default. */
  readonly attributes?: RegExp
  /** Paths that are passed over, with all that lies under them; none by default. */
  readonly skip?: RegExp
}

/**
 * What an HDF5 file holds, and slices of its datasets. Links to other files (and soft links) are not followed, virtual
 * datasets are not read. No file stays open in between.
 */
export class Hdf5File {
  readonly datasets: readonly Hdf5Dataset[]
  readonly groups: ReadonlyMap<string, Hdf5Group>

  private constructor(
    /** The file, and the entry of the archive that it may be, for messages. */
    readonly path: string,
    /** In bytes. */
    readonly size: number,
    private readonly source: () => Promise<Hdf5Source>,
    private readonly Fault: ErrorClass,
    { datasets, groups }: Hdf5Description,
  ) {
    this.datasets = datasets
    this.groups = new Map(groups.map((group) => [group.path, group]))
  }

  /** @throws Fault when the file is no HDF5, truncated or corrupt */
  static async open(path: string, Fault: ErrorClass, options: Hdf5Options = {}): Promise<Hdf5File> {
    const { head, size } = await withFile(path, Fault, async (file) => ({
      head: await file.read(0, Math.min(file.size, SIGNATURE.length)),
      size: file.size,
    }))
    if (!looksLikeHdf5(head)) throw new Fault(`${path}: not an HDF5 file`)
    return Hdf5File.openSource(
      path,
      size,
      () => Promise.resolve({ path, offset: 0, length: size }),
      Fault,
      options,
    )
  }

  /**
   * Opens HDF5 that is a part of another file.
   * @param where the file and the part, for messages
   * @param source the bytes; asked for at every read
   * @throws Fault when it is no HDF5, truncated or corrupt
   */
  static async openSource(
    where: string,
    size: number,
    source: () => Promise<Hdf5Source>,
    Fault: ErrorClass,
    { nested = false, attributes = /^$/, skip = /^$/ }: Hdf5Options = {},
  ): Promise<Hdf5File> {
    const reply = await guard(where, Fault, 'cannot be opened as HDF5', async () =>
      askHdf5({ kind: 'describe', source: await source(), nested, attributes, skip }),
    )
    if (!('description' in reply)) throw new Fault(`${where}: cannot be opened as HDF5`)
    return new Hdf5File(where, size, source, Fault, reply.description)
  }

  /** The one text of an attribute of a group (the root by default), or undefined where there is none. */
  textAttribute(name: string, group = ''): string | undefined {
    const texts = this.groups.get(group)?.attributes.get(name)
    return texts?.length === 1 ? texts[0] : undefined
  }

  /**
   * The little-endian bytes of a box of a dataset: `count` elements along each axis from `offset`. The caller has
   * taken name, dtype and extent from `datasets`.
   * @throws Fault when the dataset is corrupt or keeps its values in other files
   */
  async read(
    dataset: Hdf5Dataset,
    offset: readonly number[] = dataset.shape.map(() => 0),
    count: readonly number[] = dataset.shape,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const { name, dtype } = dataset
    if (dtype === undefined) throw new this.Fault(`${this.path}: dataset '${name}' does not hold numbers`)
    const bytesPerElement = BYTES_PER_ELEMENT[dtype]
    const reply = await guard(this.path, this.Fault, `cannot read dataset '${name}'`, async () =>
      askHdf5({ kind: 'read', source: await this.source(), dataset: name, offset, count, bytesPerElement }),
    )
    if (!('bytes' in reply)) throw new this.Fault(`${this.path}: cannot read dataset '${name}'`)
    return reply.bytes
  }

  /**
   * Why a dataset cannot be what it claims, or undefined where it can: no compression that HDF5 knows makes so much of
   * so few bytes. To be asked before memory is taken.
   */
  faultOf(dataset: Hdf5Dataset): string | undefined {
    const bytes = elementCount(dataset.shape) * BYTES_PER_ELEMENT[dataset.dtype ?? 'uint8']
    if (bytes <= this.size * (dataset.isChunked ? MAX_DEFLATE_RATIO : 1)) return undefined
    return `claims ${bytes} bytes in a file of ${this.size}: corrupt, or never written`
  }
}

async function guard<T>(path: string, Fault: ErrorClass, what: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (error) {
    if (error instanceof Fault) throw error
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
