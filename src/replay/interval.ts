import type { Cut, Engine } from '../engines/engine.js'
import { CheckpointError } from '../errors.js'
import { allocate, FEWEST_SPLITS, newPoints, sum } from './quadrature.js'
import { addTo } from '../tensor.js'
import type { GradientSet, SplitState } from './split-state.js'
import type { LcaTensor } from './tensors.js'
import type { Point, Weights } from './weights.js'

/** What an integration needs besides the interval itself. */
export interface Integrator {
  readonly engine: Engine
  readonly cut: Cut
  readonly tensors: readonly LcaTensor[]
  readonly point: Point
  /** A gradient that each evaluation may overwrite. */
  readonly scratch: GradientSet
  readonly tolerance: number
  readonly maxSplits: number
  /** Residuals below it are rounding: more splits can't lower them. */
  readonly noiseFloor: number
  /** Called after every micro-batch with the share of one evaluation that it was; throws to stop the replay. */
  readonly onWork: (evaluations: number) => void
}

export interface Segment {
  readonly from: Weights
  readonly to: Weights
  /** How errors name the place: 'between step 3 and step 4'. */
  readonly where: string
}

export interface Integral {
  readonly splits: number
  readonly converged: boolean
  /** The largest |residual| over the splits. */
  readonly residual: number
}

/**
 * Integrates the gradient along a segment by composite Simpson, doubling the number of splits while |residual| exceeds
 * the tolerance on any split of the data. Every gradient already computed is kept. Leaves the sums in the states; the
 * start's gradients must be there.
 */
export async function integrate(
  integrator: Integrator,
  states: readonly SplitState[],
  segment: Segment,
): Promise<Integral> {
  for (const state of states)
    state.end.loss = await evaluate(integrator, state, segment, 1, state.end.gradient)
  let splits = FEWEST_SPLITS
  for (;;) {
    for (const state of states) await addPoints(integrator, state, segment, splits)
    const residual = Math.max(
      ...states.map((state) => Math.abs(residualOf(integrator, state, segment, splits))),
    )
    const converged = residual <= integrator.tolerance
    if (converged || residual <= integrator.noiseFloor || splits * 2 > integrator.maxSplits)
      return { splits, converged, residual }
    splits *= 2
    for (const state of states) state.doubleSplits()
  }
}

async function addPoints(
  integrator: Integrator,
  state: SplitState,
  segment: Segment,
  splits: number,
): Promise<void> {
  for (const a of newPoints(splits)) {
    await evaluate(integrator, state, segment, a, integrator.scratch)
    for (const [name, gradient] of integrator.scratch) addTo(state.odd.get(name)!, gradient)
  }
}

/** The loss at from + a (to - from), its gradient in `gradient`. Throws CheckpointError where it is not finite. */
export async function evaluate(
  { engine, cut, point, onWork }: Integrator,
  state: SplitState,
  { from, to, where }: Segment,
  a: number,
  gradient: GradientSet,
): Promise<number> {
  let done = 0
  const weights = point.moveTo(from, to, a).weights
  const { loss } = await engine.evaluate(weights, state.data, cut, gradient, (samples) => {
    onWork((samples - done) / state.data.samples)
    done = samples
  })
  state.evaluations += 1
  if (!Number.isFinite(loss))
    throw new CheckpointError(
      `${where}: the loss on ${state.name} is ${loss}; the weights are finite, so the network overflows there. ` +
        `Replay the part before it with --steps`,
    )
  return loss
}

/** LCA summed over all tensors minus the measured change. Throws CheckpointError where a gradient is not finite. */
function residualOf(
  { tensors, scratch }: Integrator,
  state: SplitState,
  { from, to, where }: Segment,
  splits: number,
): number {
  let lca = 0
  for (const { name } of tensors) {
    const values = scratch.get(name)!
    allocate(values, from.get(name)!, to.get(name)!, state.sums(name), splits)
    const part = sum(values)
    if (!Number.isFinite(part))
      throw new CheckpointError(
        `${where}: the gradient of the loss on ${state.name} with respect to ${name} is not finite there, ` +
          `so its LCA is ${part}. Replay the part before it with --steps`,
      )
    lca += part
  }
  return lca - (state.end.loss - state.start.loss)
}
