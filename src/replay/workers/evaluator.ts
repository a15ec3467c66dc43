import type { GroupResult, PointTask } from './messages.js'

/** Evaluates gradients at points, in this process or in others. */
export interface Evaluator {
  /**
   * Computes a task's gradient into its file.
   * @param order tasks of lower order are begun first
   * @param onSamples called now and then with the number of samples done since the last call
   * @returns the sums of the groups of micro-batches, in order
   * @throws EngineError when the graph fails to run or processes die, WorkerMemoryError when memory is short
   */
  evaluate(
    task: PointTask,
    order: number,
    onSamples: (samples: number) => void,
  ): Promise<readonly GroupResult[]>
  /** Ends what is running; tasks that are not done never will be. A second call does nothing. */
  close(): Promise<void>
}
