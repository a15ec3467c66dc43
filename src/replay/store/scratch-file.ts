import { ftruncateSync, openSync, rmSync } from 'node:fs'
import { ArrayFile, guarded } from './array-file.js'

/** A file of zeros that one process writes to and reads again; it goes with the process, however that ends. */
export class ScratchFile extends ArrayFile {
  constructor(
    path: string,
    private readonly bytes: number,
  ) {
    super(
      path,
      guarded(path, () => openSync(path, 'w+')),
    )
    try {
      rmSync(path)
    } catch {
      // Windows keeps open files; it is removed with the folder
    }
    this.clear()
  }

  /** Makes everything zero again, without writing it. */
  clear(): void {
    guarded(this.path, () => {
      ftruncateSync(this.descriptor, 0)
      ftruncateSync(this.descriptor, this.bytes)
    })
  }
}
