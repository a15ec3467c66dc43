import type { Checkpoint } from '../trajectory/checkpoint.js'
import { checkFinite } from '../trajectory/finite.js'
import { writeFile } from './store/array-file.js'
import { fileNames } from './store/store.js'
import type { ReplayStore, WeightElements } from './store/store.js'
import type { LcaTensor } from './tensors.js'
import { WEIGHT_ARRAYS } from './workers/point.js'

/** The weights of checkpoints, brought into files of the store, tensor by tensor, when they are asked for. */
export class WeightFiles {
  private readonly files = new Map<number, Promise<string>>()
  private closed = false

  constructor(
    private readonly store: ReplayStore,
    private readonly checkpoints: readonly Checkpoint[],
    /** In the order of the files. */
    private readonly tensors: readonly LcaTensor[],
    private readonly elements: WeightElements,
  ) {}

  /** Checkpoints whose files are there already. */
  take(written: Iterable<{ readonly checkpoint: number; readonly fingerprint: string }>): void {
    for (const { checkpoint, fingerprint } of written)
      this.files.set(checkpoint, Promise.resolve(fingerprint))
  }

  /**
   * Resolves to the checkpoint's fingerprint when its file is there.
   * @throws CheckpointError when it can't be read, or holds NaN or infinity
   */
  ensure(checkpoint: number): Promise<string> {
    const known = this.files.get(checkpoint)
    if (known !== undefined) return known
    const file = this.write(checkpoint)
    this.files.set(checkpoint, file)
    return file
  }

  release(checkpoint: number): void {
    if (this.files.delete(checkpoint)) this.store.remove(fileNames.weights(checkpoint))
  }

  /** Stops writing; when it resolves no file is written to any more. */
  async close(): Promise<void> {
    this.closed = true
    await Promise.allSettled(this.files.values())
  }

  private async write(index: number): Promise<string> {
    const checkpoint = this.checkpoints[index]!
    const name = fileNames.weights(index)
    const Numbers = WEIGHT_ARRAYS[this.elements]
    const fingerprint = await checkpoint.fingerprint()
    let position = 0
    for (const [i, { checkpointName }] of this.tensors.entries()) {
      const tensor = await checkpoint.read(checkpointName)
      if (this.closed) throw new Error('the replay has ended')
      checkFinite(tensor, checkpoint, checkpointName)
      const values = tensor.data instanceof Numbers ? tensor.data : Numbers.from(tensor.data)
      this.append(name, values, position, i === 0)
      position += values.byteLength
    }
    return fingerprint
  }

  private append(name: string, values: Float32Array | Float64Array, position: number, first: boolean): void {
    writeFile(
      this.store.path(name),
      (file) => {
        file.write(values, position)
      },
      first ? 'create' : 'extend',
    )
  }
}

/** The widest type that a tensor is recorded in: its numbers are kept as they are. */
export function weightElements(
  checkpoints: readonly Checkpoint[],
  tensors: readonly LcaTensor[],
): WeightElements {
  const wide = checkpoints.some(({ tensors: infos }) =>
    tensors.some(({ checkpointName }) => infos.get(checkpointName)?.dtype === 'float64'),
  )
  return wide ? 'float64' : 'float32'
}
