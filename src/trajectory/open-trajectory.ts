import type { Trajectory } from './checkpoint.js'
import { scan, type ScanOptions } from './scan.js'

/**
 * Opens the recorded checkpoints of a run: a folder of files or of folders, or one file of many saves. All headers are
 * read and checked here; the values only when a tensor is read.
 * @throws UsageError when there is nothing at the path, or `steps` keeps fewer than two checkpoints
 * @throws CheckpointError when a checkpoint is corrupt, does not fit the others, repeats a step, or is the only one
 * @throws CheckpointFormatError when a checkpoint is in a form that is not read
 */
export function openTrajectory(path: string, options: ScanOptions = {}): Promise<Trajectory> {
  return scan(path, options, (_, error) => {
    throw error
  })
}
