import { mapLimited } from '../../io/concurrency.js'
import { compareNaturally } from '../../listing.js'
import { elementCount } from '../../tensor.js'
import { CONCURRENT_FILES } from '../candidates.js'
import type { Checkpoint, Trajectory } from '../checkpoint.js'
import { isReadable } from '../network.js'
import { scan, type ScanOptions } from '../scan.js'
import { findEqual } from './identity.js'
import { findOutOfPlace } from './place.js'
import type { Problem } from './problem.js'
import { findMissingSteps, spacingOf, type Spacing } from './spacing.js'
import { tensorProblems } from './tensor-problems.js'
import { readValues, type Values } from './values.js'

/** Archives up to this size are read whole unless asked otherwise: some seconds' work. */
export const READ_BY_DEFAULT = 2 * 2 ** 30

export interface InspectOptions extends ScanOptions {
  /** Whether all numbers are read, or headers only; by default for archives up to READ_BY_DEFAULT bytes. */
  readonly values?: boolean
  readonly onProgress?: (done: number, checkpoints: number) => void
  readonly signal?: AbortSignal
}

/** What is known of one tensor. Norms are undefined where the values were not read. */
export interface TensorReport {
  readonly name: string
  readonly shape: readonly number[]
  /** Elements. */
  readonly size: number
  readonly dtype: string
  /** Whether it holds weights: numbers with fractions, in a type that is read. */
  readonly isWeight: boolean
  readonly normFirst?: number
  readonly normLast?: number
  /** Norm of the movement into each checkpoint, NaN for the first and where it could not be read. */
  readonly updates?: readonly number[]
}

/** A trajectory at a glance, and what is wrong with it. */
export interface Inspection {
  readonly trajectory: Trajectory
  /** Bytes of all checkpoints. */
  readonly bytes: number
  readonly spacing: Spacing
  readonly tensors: readonly TensorReport[]
  readonly problems: readonly Problem[]
  readonly valuesRead: boolean
}

/**
 * Looks an archive of checkpoints over. Files that can't be read, shapes that change and the like are listed among the
 * problems instead of thrown.
 * @throws UsageError, CheckpointError, CheckpointFormatError where not even two checkpoints can be opened
 */
export async function inspectTrajectory(path: string, options: InspectOptions = {}): Promise<Inspection> {
  const problems: Problem[] = []
  const trajectory = await scan(path, options, (kind, { message }, at) => {
    problems.push({ kind, message, path: at })
  })
  problems.sort((a, b) => compareNaturally(a.path ?? '', b.path ?? ''))
  const { checkpoints, stepUnit } = trajectory
  const steps = checkpoints.map(({ step }) => step)
  if (stepUnit !== 'save') problems.push(...findMissingSteps(steps, stepUnit))
  const bytes = checkpoints.reduce((sum, checkpoint) => sum + checkpoint.bytes, 0)
  const valuesRead = options.values ?? bytes <= READ_BY_DEFAULT
  const values = valuesRead ? await valuesOf(trajectory, options, problems) : undefined
  problems.push(...(values === undefined ? await equalFiles(trajectory) : valueProblems(trajectory, values)))
  const tensors = reportTensors(checkpoints[0]!, values)
  return { trajectory, bytes, spacing: spacingOf(steps), tensors, problems, valuesRead }
}

function valuesOf(
  trajectory: Trajectory,
  { onProgress, signal }: InspectOptions,
  problems: Problem[],
): Promise<Values> {
  const total = trajectory.checkpoints.length
  return readValues(trajectory, {
    onUnreadable: ({ message }, path) => problems.push({ kind: 'unreadable', message, path }),
    ...(onProgress && {
      onCheckpoint: (done: number) => {
        onProgress(done, total)
      },
    }),
    ...(signal && { signal }),
  })
}

/** Without the values, only whole files can be compared. */
async function equalFiles({ checkpoints, stepUnit }: Trajectory): Promise<Problem[]> {
  const identities = await mapLimited(checkpoints, CONCURRENT_FILES, (checkpoint) => checkpoint.fingerprint())
  return findEqual(checkpoints, identities, stepUnit, 'files')
}

function valueProblems({ checkpoints, stepUnit }: Trajectory, values: Values): Problem[] {
  const { motions, distances, identities } = values
  const allStill = distances.one.every((distance) => !(distance > 0))
  const first = checkpoints[0]!
  return [
    ...findEqual(checkpoints, identities, stepUnit, 'values'),
    ...findOutOfPlace(checkpoints, distances, stepUnit),
    ...[...motions].flatMap(([tensor, series]) => {
      const { dtype } = first.tensors.get(tensor)!
      return tensorProblems({ tensor, dtype, motions: series }, checkpoints, stepUnit, allStill)
    }),
  ]
}

function reportTensors(first: Checkpoint, values: Values | undefined): TensorReport[] {
  return [...first.tensors.values()].map((tensor) => {
    const { name, shape, dtype, unsupported } = tensor
    const motions = values?.motions.get(name)
    return {
      name,
      shape,
      size: elementCount(shape),
      dtype: unsupported ?? dtype,
      isWeight: isReadable(tensor),
      ...(motions && {
        normFirst: motions[0]?.norm ?? NaN,
        normLast: motions.at(-1)?.norm ?? NaN,
        updates: motions.map((motion) => motion?.update ?? NaN),
      }),
    }
  })
}
