import { basename, resolve } from 'node:path'
import { openQuery, type Query } from '../tables/query.js'
import type { Results } from '../tables/read.js'
import { analyzeApproximation } from './approximation.js'
import { curvatureWarnings, measureCurvature } from './curvature.js'
import type { SplitContext } from './findings/candidate.js'
import { findAll } from './findings/find.js'
import { analyzeGroup, joinSeries, joinTotals, meanOf, type GroupSeries } from './groups.js'
import { correlateMeasures } from './measures.js'
import type { GroupAnalysis, RunAnalysis, RunFacts, TensorAnalysis } from './model.js'
import { analyzeParameters, emptySums, tensorSums, type TensorSums } from './parameters.js'
import { readSeries, type RunSeries, type SplitSeries, type TensorSeries } from './series.js'
import { BlockBootstrap, sumOf } from './statistics/blocks.js'
import { analyzeSynchrony } from './synchrony.js'
import { analyzeUnits } from './units.js'

/**
 * What the tables of a run say: losses, layers, tensors, units and parameters, with the uncertainty of what is estimated,
 * and findings. The same tables give the same analysis, to the last bit.
 * @param name the run's name; by default that of its folder
 * @throws ResultsError when a table is missing or corrupt
 * @throws EngineError when DuckDB can't be loaded
 */
export async function analyzeRun(
  results: Results,
  { name = basename(resolve(results.dir)) }: { readonly name?: string } = {},
): Promise<RunAnalysis> {
  const run = await readSeries(results)
  const { maxSplits } = results.manifest.options as { maxSplits: number }
  const curvature = measureCurvature(run.stepsTable, maxSplits)
  const facts = factsOf(results, run, name, curvatureWarnings(curvature, maxSplits))
  const query = await openQuery(results)
  try {
    const bootstrap = new BlockBootstrap()
    const splits: SplitContext[] = []
    for (const series of run.splits)
      splits.push(await new SplitAnalyzer(query, run, series, bootstrap).context())
    return {
      facts,
      splits: splits.map(({ analysis }) => analysis),
      findings: findAll({ facts, splits, curvature }),
    }
  } finally {
    await query.close()
  }
}

function factsOf(
  { manifest }: Results,
  { intervals, steps, stepUnit, parameters, splits }: RunSeries,
  name: string,
  warnings: readonly string[],
): RunFacts {
  const { options, result, data } = manifest
  return {
    name,
    intervals,
    steps,
    stepUnit,
    parameters,
    loss: String(options.loss),
    quadrature: typeof options.quadrature === 'string' ? options.quadrature : 'simpson',
    tolerance: Number(options.tolerance),
    converged: result.converged,
    restricted: splits.some(({ residual }) => residual.some(Number.isNaN)),
    sampled: data.some(({ sample }) => sample !== undefined),
    fisherSamples: typeof options.fisher_samples === 'number' ? options.fisher_samples : undefined,
    warnings,
  }
}

/** Analyses one split of a run. */
class SplitAnalyzer {
  constructor(
    private readonly query: Query,
    private readonly run: RunSeries,
    private readonly series: SplitSeries,
    private readonly bootstrap: BlockBootstrap,
  ) {}

  async context(): Promise<SplitContext> {
    const { series, run, query } = this
    const { split } = series
    const known = new Map((await tensorSums(query, split)).map((sum) => [sum.tensor, sum]))
    // a tensor without elements has no rows in `totals`
    const sums = new Map(series.tensors.map(({ tensor }) => [tensor, known.get(tensor) ?? emptySums(tensor)]))
    const layers = this.groups(sums, ({ layer }) => layer)
    const tensors = series.tensors.map((tensor) => this.tensor(tensor, sums.get(tensor.tensor)!))
    const trained = tensors.filter(({ role }) => role !== 'buffer').map(({ name }) => name)
    const { intervals, firstInterval } = run
    return {
      series,
      layers: layers.map((layer) => layer.series),
      analysis: {
        split,
        losses: series.losses,
        lca: series.lca,
        residual: series.residual,
        firstOrder: series.first_order,
        helping: series.helping,
        hurting: series.hurting,
        still: series.still,
        layers: layers.map(({ analysis }) => analysis),
        tensors,
        roles: this.groups(sums, ({ role }) => role).map(({ analysis }) => analysis),
        approximation: analyzeApproximation(
          series,
          layers.map(({ analysis: { name, total, firstOrderTotal } }) => ({
            name,
            lca: total.value,
            firstOrder: firstOrderTotal,
          })),
        ),
        synchrony: analyzeSynchrony(layers.map(({ analysis: { name, lca } }) => ({ layer: name, lca }))),
        parameters: await analyzeParameters(query, split, { intervals, trained }),
        units: await analyzeUnits(query, split, {
          intervals,
          firstInterval,
          tensors: tensors
            .filter(({ role }) => role === 'weight' || role === 'embedding')
            .map(({ name, layer, lca }) => ({ tensor: name, layer, moved: sumOf(lca.map(Math.abs)) })),
        }),
        measures: await correlateMeasures(query, split, tensors),
      },
    }
  }

  /** Tensors taken together by a key, in the order in which keys come. */
  private groups(
    sums: ReadonlyMap<string, TensorSums>,
    keyOf: (tensor: TensorSeries) => string,
  ): { readonly series: GroupSeries; readonly analysis: GroupAnalysis }[] {
    const members = new Map<string, TensorSeries[]>()
    for (const tensor of this.series.tensors) {
      const group = members.get(keyOf(tensor))
      if (group === undefined) members.set(keyOf(tensor), [tensor])
      else group.push(tensor)
    }
    return [...members].map(([name, tensors]) => {
      const series = joinSeries(tensors)
      const totals = joinTotals(tensors.map(({ tensor }) => sums.get(tensor)!))
      return { series, analysis: analyzeGroup(name, series, totals, this.bootstrap) }
    })
  }

  private tensor(series: TensorSeries, sums: TensorSums): TensorAnalysis {
    const pathLength = sumOf(series.update_norm)
    return {
      ...analyzeGroup(series.tensor, joinSeries([series]), sums, this.bootstrap),
      layer: series.layer,
      role: series.role,
      gradientNorm: meanOf(series.gradient_norm),
      updateNorm: meanOf(series.update_norm),
      // of weights that are all zero, as biases are at first, there is none
      relativeUpdate: meanOf(
        series.update_norm.map((norm, t) =>
          series.weight_norm[t]! > 0 ? norm / series.weight_norm[t]! : NaN,
        ),
      ),
      cosine: meanOf(series.cosine),
      pathLength,
      efficiency: sums.distance / pathLength,
      synapticIntelligence: sums.synapticIntelligence,
      fisher: sums.fisher,
    }
  }
}
