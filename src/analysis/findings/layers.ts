import { skipsSteps } from '../curvature.js'
import { defined } from '../groups.js'
import type { GroupAnalysis, RunFacts } from '../model.js'
import { tendencyTest, sumOf } from '../statistics/blocks.js'
import { shareOf, type RunContext, type SplitContext, type Tested } from './candidate.js'
import { estimated, percent, short, signed } from './text.js'

/** Mean cosines between a movement and the one before that are worth telling. */
const OSCILLATES = -0.1

/** Layers whose LCA over the run is above zero, on each split. */
export function hurtingLayers({ splits }: RunContext): Tested[] {
  const last = lastLayer(splits[0]!)
  return splits.flatMap((context, place) => {
    const { analysis } = context
    const change = sumOf(context.series.loss_change)
    return analysis.layers.map((layer): Tested => ({
      family: 'hurting-layer',
      p: layer.p,
      finding:
        layer.total.value > 0
          ? {
              kind: 'hurting-layer',
              text:
                `Layer ${layer.name} hurts on ${analysis.split}: over the run it raised the loss by ${estimated(layer.total, short)}, ` +
                `in ${percent(layer.hurtIn / layer.lca.length)} of the intervals, while the loss changed by ${signed(change)}.`,
              advice: layer.name === last && place === 0 ? LAST_LAYER : undefined,
              weight: (place === 0 ? 1 : 0.7) + shareOf(analysis, layer.name),
              split: analysis.split,
              layer: layer.name,
              figure: 'layers',
            }
          : undefined,
    }))
  })
}

const LAST_LAYER =
  'It is the last layer: freeze it from the start, or divide its learning rate by ten. For the ResNet of Lan et al. (2019), ' +
  'whose last layer hurt too, that let the other layers make up for it.'

/** The last layer in the network's order that holds weights. */
function lastLayer({ analysis }: SplitContext): string | undefined {
  return analysis.tensors.filter(({ role }) => role === 'weight').at(-1)?.layer
}

/** Layers that help on the training data and hurt on another split. */
export function memorisingLayers({ facts, splits }: RunContext): Tested[] {
  const [train, ...others] = splits
  return others.flatMap(({ analysis }) =>
    analysis.layers.map((layer): Tested => {
      const trained = train!.analysis.layers.find(({ name }) => name === layer.name)!
      const memorises = trained.total.value < 0 && layer.total.value > 0
      return {
        family: 'memorising-layer',
        // both must hold, so the larger of both is the p-value of their being true together
        p: Math.max(trained.p, layer.p),
        finding: memorises
          ? {
              kind: 'memorising-layer',
              text:
                `Layer ${layer.name} memorises: over the run it changed the loss on ${train!.analysis.split} by ${estimated(trained.total)} ` +
                `and on ${analysis.split} by ${estimated(layer.total)}.`,
              advice: memorisingAdvice(facts, analysis.split, lowestAt(layer)),
              weight: 1 + shareOf(analysis, layer.name),
              split: analysis.split,
              layer: layer.name,
              figure: 'layers',
            }
          : undefined,
      }
    }),
  )
}

function memorisingAdvice({ stepUnit, steps }: RunFacts, split: string, lowest: number): string {
  return lowest === 0
    ? `It never helped on ${split}: freeze it from the start, or regularise it more.`
    : `What it had done for ${split} was best at ${stepUnit} ${steps[lowest]!}: freeze it or regularise it more from then on, ` +
        'or stop there if other layers do the same.'
}

/** The checkpoint at which cumulative LCA was lowest. */
function lowestAt({ lca }: GroupAnalysis): number {
  let [sum, lowest, at] = [0, 0, 0]
  lca.forEach((value, t) => {
    sum += value
    if (sum < lowest) [lowest, at] = [sum, t + 1]
  })
  return at
}

/** Layers that go back and forth: movements against the one before. Movements are the same on all splits. */
export function oscillatingLayers({ splits, curvature }: RunContext): Tested[] {
  const { analysis, layers } = splits[0]!
  // from step to step momentum makes movements go on the same way; over many, it makes them swing
  const skips = skipsSteps(curvature.stride.max, curvature.stepUnit)
  return analysis.layers.map((layer, place): Tested => {
    const { movementCosine, movementFlips, undone } = layer.oscillation
    return {
      family: 'oscillation',
      p: tendencyTest(defined(layers[place]!.cosineMovement)),
      finding:
        movementCosine.value < OSCILLATES
          ? {
              kind: 'oscillation',
              text:
                `Layer ${layer.name} goes back and forth: the cosine between a movement and the one before is ${estimated(movementCosine)} on average, ` +
                `its parameters change direction in ${percent(movementFlips)} of the intervals, ` +
                `and ${percent(undone)} of its LCA on ${analysis.split} is undone in the next interval.`,
              advice: skips ? 'Lower the learning rate, or the momentum.' : 'Lower the learning rate.',
              weight: 0.6 + shareOf(analysis, layer.name),
              split: analysis.split,
              layer: layer.name,
              figure: 'layer-heatmap',
            }
          : undefined,
    }
  })
}

/** Layers that hurt and follow the gradient of the interval before rather than that of their own. */
export function laggingLayers({ splits }: RunContext, hurting: ReadonlySet<string>): Tested[] {
  const { analysis, layers } = splits[0]!
  return analysis.layers.map((layer, place): Tested => {
    const { cosine, cosinePrevious } = layers[place]!
    const [now, before] = layer.oscillation.cosineAtLag
    return {
      family: 'lag',
      p: tendencyTest(defined(cosinePrevious.map((value, t) => value - cosine[t]!))),
      finding:
        hurting.has(layer.name) && before > now && before > 0
          ? {
              kind: 'lag',
              text:
                `Layer ${layer.name}, which hurts, follows an old gradient: the cosine of its movement with the negative gradient is ` +
                `${signed(before)} for that of the interval before, ${signed(now)} for that of the interval itself.`,
              advice: 'Lower the momentum of this layer, or its learning rate.',
              weight: 0.9,
              split: analysis.split,
              layer: layer.name,
              figure: 'layer-heatmap',
            }
          : undefined,
    }
  })
}
