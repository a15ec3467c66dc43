import type { Trajectory } from '../trajectory/checkpoint.js'
import type { IntervalRecord } from './records.js'
import type { IntervalFacts } from './rows.js'

/** What the rows of an interval say of it, for one split. */
export function intervalFacts(
  record: IntervalRecord,
  index: number,
  where: {
    readonly trajectory: Pick<Trajectory, 'checkpoints' | 'stepUnit'>
    /** The split's name. */
    readonly split: string
    readonly restricted: boolean
  },
): Omit<IntervalFacts, 'standardErrors'> {
  const { checkpoints, stepUnit } = where.trajectory
  const { interval, converged, splits } = record
  const [lossFrom, lossTo] = record.losses[index]!
  return {
    split: where.split,
    interval,
    stepFrom: checkpoints[interval]!.step,
    stepTo: checkpoints[interval + 1]!.step,
    stepUnit,
    splits,
    converged,
    lossFrom,
    lossTo,
    evaluations: record.evaluations[index]!,
    restricted: where.restricted,
  }
}
