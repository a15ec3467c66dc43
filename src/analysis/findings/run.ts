import { changesOf, firstOrderErrors } from '../approximation.js'
import { curvatureWarnings } from '../curvature.js'
import { defined, shareOfMoving } from '../groups.js'
import type { TensorAnalysis, TensorUnits } from '../model.js'
import { BlockBootstrap, tendencyTest, sumOf, within } from '../statistics/blocks.js'
import { holm } from '../statistics/holm.js'
import { quantile } from '../statistics/quantile.js'
import type { Counted, RunContext, Tested } from './candidate.js'
import { counted } from '../../counting.js'
import { estimated, listed, percent, short, signed } from './text.js'

/** Errors of the first-order approximation, as shares of the loss's change, that are worth telling. */
const FIRST_ORDER_OFF = 0.1
/** A share of the parameters that carries half of the learning is worth telling below this. */
const FEW = 0.05

/** Whether layers learn in the same intervals. */
export function synchronousLayers({ splits }: RunContext): Tested[] {
  const { split, synchrony } = splits[0]!.analysis
  if (synchrony === undefined) return []
  const { observed, expected, p, layers } = synchrony
  return [
    {
      family: 'synchrony',
      p,
      finding:
        observed > expected
          ? {
              kind: 'synchrony',
              text:
                `Layers learn together: of the intervals in which one of two layers learns most on ${split}, ${percent(observed)} are shared ` +
                `with the other, where chance gives ${percent(expected)} (mean over pairs of ${counted(layers.length, 'layer')}).`,
              advice: undefined,
              weight: 0.3,
              split,
              layer: undefined,
              figure: 'synchrony',
            }
          : undefined,
    },
  ]
}

/** How many of the parameters that moved the loss help in an interval. */
export function helpingShare({ splits }: RunContext): Tested[] {
  const { analysis } = splits[0]!
  // NaN in an interval in which nothing moved the loss, such as the first of a warm-up
  const shares = defined(shareOfMoving(analysis))
  const mean = within(new BlockBootstrap().mean(shares), 0, 1)
  return [
    {
      family: 'helping-share',
      p: tendencyTest(shares, 0.5),
      finding: {
        kind: 'helping-share',
        text:
          `In an interval ${estimated(mean, percent)} of the parameters that move the loss on ${analysis.split} help; the others hurt.` +
          (mean.value > 0.5 && mean.value < 0.6
            ? ' That is barely over half, as Lan et al. (2019) found.'
            : ''),
        advice: undefined,
        weight: 0.2,
        split: analysis.split,
        layer: undefined,
        figure: 'helping-over-time',
      },
    },
  ]
}

/** Whether few parameters carry the learning, in a run that learned. */
export function concentratedLearning({ splits }: RunContext): Tested[] {
  const { analysis } = splits[0]!
  const { half, halfShare } = analysis.parameters
  return [
    {
      family: 'concentration',
      p: tendencyTest(analysis.lca),
      finding:
        sumOf(analysis.lca) < 0 && halfShare < FEW
          ? {
              kind: 'concentration',
              text: `${counted(half, 'parameter')} (${percent(halfShare)}) carry half of the learning on ${analysis.split}.`,
              advice: undefined,
              weight: 0.25,
              split: analysis.split,
              layer: undefined,
              figure: 'helping-histogram',
            }
          : undefined,
    },
  ]
}

/** Whether gradient times movement would tell another story. */
export function misleadingFirstOrder({ facts, splits }: RunContext): Tested[] {
  const { analysis, series } = splits[0]!
  const { relativeError, changedSigns } = analysis.approximation
  const [said, was] = [sumOf(series.first_order), sumOf(changesOf(series))]
  const ps = holm(analysis.layers.map(({ p }) => p))
  const sure = changedSigns.filter(
    (layer) => ps[analysis.layers.findIndex(({ name }) => name === layer)]! < FIRST_ORDER_SURE,
  )
  return [
    {
      family: 'first-order',
      p: tendencyTest(firstOrderErrors(series)),
      finding:
        relativeError > FIRST_ORDER_OFF || sure.length > 0
          ? {
              kind: 'first-order',
              text:
                `Gradient times movement, the first-order approximation, would say that the loss on ${analysis.split} changed by ${signed(said)}; ` +
                `${facts.restricted ? 'the allocated tensors changed it' : 'it changed'} by ${signed(was)} (${was === 0 ? '' : `${percent(relativeError)} off, `}` +
                `${short(analysis.approximation.perInterval)} in an interval on average).` +
                (sure.length > 0 ? ` It gives ${listed(sure)} the wrong sign.` : ''),
              advice: undefined,
              weight: 0.4 + Math.min(1, relativeError) / 2,
              split: analysis.split,
              layer: undefined,
              figure: 'first-order',
            }
          : undefined,
    },
  ]
}

/** A layer's own LCA must be known to have a sign before it is said that another has the wrong one. */
const FIRST_ORDER_SURE = 0.01

/** Tensors that did nothing to the training loss in any interval. */
export function deadTensors({ splits }: RunContext): Counted[] {
  const { analysis } = splits[0]!
  return analysis.tensors.filter(isDead).map((tensor) => ({
    kind: 'dead-tensor',
    text:
      tensor.pathLength === 0
        ? `Tensor ${tensor.name} never moved: its LCA is zero throughout.`
        : `Tensor ${tensor.name} moves, but its gradient on ${analysis.split} is zero: it does not take part in the loss.`,
    advice:
      tensor.pathLength === 0
        ? 'If it was not frozen on purpose, look whether the optimizer holds it.'
        : 'Look whether what it feeds is used, or its activations are dead.',
    weight: 0.8 + tensor.parameters / analysis.parameters.parameters,
    split: analysis.split,
    layer: tensor.layer,
    figure: 'layers',
  }))
}

function isDead({ role, parameters, lca }: TensorAnalysis): boolean {
  return role !== 'buffer' && parameters > 0 && lca.every((value) => value === 0)
}

/** Intervals in which a unit must have done nothing to be called dead. */
const DEAD_FOR = 3

/** Units of weights that did nothing in any interval; rows of embeddings that never occur are no fault. */
export function deadUnits({ splits }: RunContext): Counted[] {
  const { analysis } = splits[0]!
  if (analysis.lca.length < DEAD_FOR) return []
  const roles = new Map(analysis.tensors.map((tensor) => [tensor.name, tensor]))
  return analysis.units.tensors
    .filter(({ tensor, dead, count }) => {
      const { role } = roles.get(tensor)!
      return role === 'weight' && dead.length > 0 && dead.length < count
    })
    .map((units) => ({
      kind: 'dead-units',
      text:
        `${counted(units.dead.length, 'unit')} of ${units.count} of ${units.tensor} ${units.dead.length === 1 ? 'is' : 'are'} dead: ` +
        `none of ${units.dead.length === 1 ? 'its' : 'their'} parameters moved the loss on ${analysis.split} in any interval (${named(units)}).`,
      advice:
        'Such units are not needed; a lower learning rate or an activation that is never flat would keep them alive.',
      weight: 0.4 + units.dead.length / units.count / 2,
      split: analysis.split,
      layer: units.layer,
      figure: 'units',
    }))
}

function named({ dead }: TensorUnits): string {
  return `${dead.length === 1 ? 'unit' : 'units'} ${listed(dead.map(String), 8)}`
}

/** A rise of the loss in one interval is told of from this share of all that the loss went through on. */
const JUMP = 0.2
/** And if it is so many times the median change, which chance does not give, however heavy its tails. */
const JUMP_OVER_MEDIAN = 20
/** And so many times the median change of the ten intervals on each side: early in training all changes are large. */
const JUMP_OVER_NEIGHBOURS = 5
/** And of the side on which changes are larger. */
const JUMP_OVER_SIDE = 4.5
const NEIGHBOURS = 10
/** Intervals that must be there on each side. */
const FEWEST_NEIGHBOURS = 5

/** An interval in which the loss jumped up. It was measured, so there is nothing to test. */
export function jumps({ facts, splits }: RunContext): Counted[] {
  const { analysis, series } = splits[0]!
  const { losses, layers, split } = analysis
  const changes = series.loss_change
  const at = changes.indexOf(changes.reduce((most, change) => Math.max(most, change), -Infinity))
  const rise = changes[at]!
  const range =
    losses.reduce((most, loss) => Math.max(most, loss)) -
    losses.reduce((least, loss) => Math.min(least, loss))
  const typical = typicalSize([...changes])
  if (!(rise >= JUMP * range && rise >= JUMP_OVER_MEDIAN * typical && isAlone(changes, at))) return []
  const worst = layers.reduce((most, layer) => (layer.lca[at]! > most.lca[at]! ? layer : most))
  const overshot = series.first_order[at]! < 0
  return [
    {
      kind: 'jump',
      text:
        `The loss on ${split} jumped by ${signed(rise)} from ${facts.stepUnit} ${facts.steps[at]!} to ${facts.steps[at + 1]!}, ` +
        `${short(rise / typical)} times what it changes by in a typical interval; layer ${worst.name} raised it by ${short(worst.lca[at]!)}.` +
        (overshot ? ' At its start the movement went downhill: the step was too large.' : ''),
      advice: overshot ? 'Clip the gradient, warm the learning rate up for longer, or lower it.' : undefined,
      weight: 0.7 + rise / range,
      split,
      layer: worst.name,
      figure: 'loss',
    },
  ]
}

/** Whether a change stands out among its neighbours. */
function isAlone(changes: Float64Array, at: number): boolean {
  const before = changes.subarray(Math.max(0, at - NEIGHBOURS), at)
  const after = changes.subarray(at + 1, at + 1 + NEIGHBOURS)
  if (Math.min(before.length, after.length) < FEWEST_NEIGHBOURS) return false
  const [all, larger] = [
    typicalSize([...before, ...after]),
    Math.max(typicalSize([...before]), typicalSize([...after])),
  ]
  return changes[at]! >= JUMP_OVER_NEIGHBOURS * all && changes[at]! >= JUMP_OVER_SIDE * larger
}

/** Median of |values|. */
function typicalSize(values: readonly number[]): number {
  return quantile(Float64Array.from(values, Math.abs).sort(), 0.5)
}

/** Where the numbers themselves are not to be trusted. */
export function doubts({ facts, splits, curvature }: RunContext): Counted[] {
  const worst = splits
    .flatMap(({ analysis }) => [...defined(analysis.residual)])
    .reduce((most, residual) => Math.max(most, Math.abs(residual)), 0)
  const open = facts.intervals - facts.converged
  // intervals that did not converge are told of below, with the residual
  const [sparse] = curvatureWarnings({ ...curvature, atLimit: 0 }, 0)
  const common = { split: undefined, layer: undefined } as const
  return [
    ...(open > 0
      ? [
          {
            ...common,
            kind: 'not-conserved' as const,
            text:
              `${open} of ${counted(facts.intervals, 'interval')} did not converge: ` +
              (facts.restricted
                ? `the error of their LCA was estimated at more than ${short(facts.tolerance)}, which was asked for.`
                : `LCA misses the measured change of the loss by up to ${short(worst)}, where ${short(facts.tolerance)} was asked for.`),
            advice: 'Raise --max-splits, or --tolerance where it lies below the noise of the arithmetic.',
            weight: 3,
            figure: 'residual' as const,
          },
        ]
      : []),
    ...(sparse === undefined
      ? []
      : [
          {
            ...common,
            kind: 'sparse-checkpoints' as const,
            text: `${sparse[0]!.toUpperCase()}${sparse.slice(1).replace(/; replay every recorded.*$/, '')}.`,
            advice: 'Replay every recorded checkpoint, or record more often.',
            weight: 2,
            figure: 'first-order' as const,
          },
        ]),
  ]
}
