import type { Engine } from '../../engines/engine.js'
import type { ReplayStore } from '../store/store.js'
import type { Evaluator } from './evaluator.js'
import type { GroupResult, ParameterFacts, PointTask } from './messages.js'
import { allocatedParameters, groupsOf, PointEvaluator } from './point-evaluator.js'
import type { EvaluatedSplit } from './point-evaluator.js'

/** Evaluates with an engine of this process, one task after another in the order they come. */
export class LocalEvaluator implements Evaluator {
  private readonly evaluator: PointEvaluator
  private last: Promise<unknown> = Promise.resolve()
  private closed = false

  constructor(
    private readonly engine: Engine,
    store: ReplayStore,
    private readonly facts: ParameterFacts,
    private readonly splits: readonly EvaluatedSplit[],
  ) {
    this.evaluator = new PointEvaluator(engine, store, facts, splits)
  }

  evaluate(
    task: PointTask,
    _order: number,
    onSamples: (samples: number) => void,
  ): Promise<readonly GroupResult[]> {
    const result = this.last.then(() =>
      this.closed ? new Promise<never>(() => undefined) : this.run(task, onSamples),
    )
    this.last = result.catch(() => undefined)
    return result
  }

  async close(): Promise<void> {
    if (this.closed) return
    this.closed = true
    await this.engine.close()
  }

  private run(task: PointTask, onSamples: (samples: number) => void): Promise<GroupResult[]> {
    const { data, groups } = this.splits[task.split]!
    const parameters = allocatedParameters(this.facts)
    const { fixedBatch } = this.engine
    const count = groupsOf({ samples: data.samples, groups }, task, { fixedBatch, parameters }).length
    return this.evaluator.evaluate({ task, first: 0, last: count, whole: true }, onSamples)
  }
}
