import type { Integrator, Segment } from './interval.js'
import { evaluate } from './interval.js'
import type { SplitState } from './split-state.js'

/**
 * How far float32 rounding alone moves a residual, estimated once per run: the first checkpoint is evaluated again
 * with the micro-batches cut differently (the first one half as long). A residual holds two losses and an integral of
 * the gradient times the movement, so the estimate is twice the difference of the losses plus the difference of the
 * first-order terms, the largest over the splits. Zero where a split is a single sample.
 *
 * `integrator.scratch` is overwritten; the gradients at the start must be there.
 */
export async function estimateNoiseFloor(
  integrator: Integrator,
  states: readonly SplitState[],
  segment: Segment,
): Promise<number> {
  const { size } = integrator.cut
  const recut: Integrator = {
    ...integrator,
    cut: { size, first: Math.max(1, Math.floor(Math.min(size, samplesOf(states)) / 2)) },
    onWork: () => {
      integrator.onWork(0)
    },
  }
  let floor = 0
  for (const state of states) {
    const loss = await evaluate(recut, state, segment, 0, integrator.scratch)
    state.evaluations -= 1
    floor = Math.max(
      floor,
      2 * Math.abs(loss - state.start.loss) + Math.abs(firstOrderGap(integrator, state, segment)),
    )
  }
  return floor
}

function samplesOf(states: readonly SplitState[]): number {
  return Math.min(...states.map(({ data }) => data.samples))
}

/** The difference of the first-order terms that the two gradients give. */
function firstOrderGap({ tensors, scratch }: Integrator, state: SplitState, { from, to }: Segment): number {
  let gap = 0
  for (const { name } of tensors) {
    const [a, b] = [scratch.get(name)!, state.start.gradient.get(name)!]
    const [start, end] = [from.get(name)!, to.get(name)!]
    for (let i = 0; i < a.length; i += 1) gap += (a[i]! - b[i]!) * (end[i]! - start[i]!)
  }
  return gap
}
