import { closeSync, openSync, readSync, writeSync } from 'node:fs'
import { ResultsError } from '../../errors.js'
import type { TypedArray } from '../../tensor.js'
import { diskError } from '../../tables/disk-error.js'

export type Numbers = Float32Array | Float64Array | Int32Array

/** A system call moves less than 2 GiB. */
const MOST_BYTES = 1 << 30

/**
 * A file of numbers in the machine's byte order, read and written at any place. Methods throw ResultsError where the
 * disk refuses or the file is shorter than what is asked for.
 */
export class ArrayFile {
  protected constructor(
    readonly path: string,
    protected readonly descriptor: number,
  ) {}

  static open(path: string): ArrayFile {
    return new ArrayFile(
      path,
      guarded(path, () => openSync(path, 'r')),
    )
  }

  /** Makes a new file, in place of an old one, or opens one to write more to it. */
  static create(path: string, how: 'create' | 'extend' = 'create'): ArrayFile {
    return new ArrayFile(
      path,
      guarded(path, () => openSync(path, how === 'create' ? 'w' : 'r+')),
    )
  }

  /** Fills `into` with what lies from byte `position` on. */
  read<T extends TypedArray>(into: T, position: number): T {
    const bytes = bytesOf(into)
    guarded(this.path, () => {
      for (let done = 0; done < bytes.length;) {
        const count = readSync(
          this.descriptor,
          bytes,
          done,
          Math.min(MOST_BYTES, bytes.length - done),
          position + done,
        )
        if (count === 0) throw new ResultsError(`${this.path} is cut short; run again with --overwrite`)
        done += count
      }
    })
    return into
  }

  write(values: TypedArray, position: number): void {
    const bytes = bytesOf(values)
    guarded(this.path, () => {
      for (let done = 0; done < bytes.length;)
        done += writeSync(
          this.descriptor,
          bytes,
          done,
          Math.min(MOST_BYTES, bytes.length - done),
          position + done,
        )
    })
  }

  close(): void {
    closeSync(this.descriptor)
  }
}

function bytesOf({ buffer, byteOffset, byteLength }: TypedArray): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength)
}

export function guarded<R>(path: string, action: () => R): R {
  try {
    return action()
  } catch (error) {
    throw diskError(path, error)
  }
}

/** Opens files for as long as `use` takes. */
export function withFiles<R>(paths: readonly string[], use: (files: readonly ArrayFile[]) => R): R {
  const files: ArrayFile[] = []
  try {
    for (const path of paths) files.push(ArrayFile.open(path))
    return use(files)
  } finally {
    for (const file of files) file.close()
  }
}

/** A file is open while `fill` writes to it. */
export function writeFile<R>(
  path: string,
  fill: (file: ArrayFile) => R,
  how: 'create' | 'extend' = 'create',
): R {
  const file = ArrayFile.create(path, how)
  try {
    return fill(file)
  } finally {
    file.close()
  }
}
