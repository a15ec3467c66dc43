import { list, text } from '../tables/query-views.js'
import type { Query } from '../tables/query.js'
import type { Measure, MeasureCorrelation, TensorAnalysis } from './model.js'
import { DAMPING } from './parameters.js'
import { spearman } from './statistics/spearman.js'

/** Of more parameters than this an even choice is ranked. */
const MOST_RANKED = 1_000_000
/** 2^32 over the golden ratio: its multiples, modulo 2^32, are spread evenly, and in step with no shape (Knuth 1973). */
const GOLDEN = 2_654_435_769

/** How each measure ranks tensors, the larger the more important. */
const OF_TENSORS: Readonly<Record<Measure, (tensor: TensorAnalysis) => number>> = {
  'gradient norm': (tensor) => tensor.gradientNorm,
  'update norm': (tensor) => tensor.updateNorm,
  'relative update': (tensor) => tensor.relativeUpdate,
  'path length': (tensor) => tensor.pathLength,
  distance: (tensor) => tensor.pathLength * tensor.efficiency,
  'Synaptic Intelligence': (tensor) => tensor.synapticIntelligence,
  'empirical Fisher': (tensor) => tensor.fisher,
}

interface ParameterColumns {
  readonly lca: ArrayLike<number>
  readonly movement: ArrayLike<number>
  readonly pathLength: ArrayLike<number>
  readonly fisher: ArrayLike<number>
}

/** How each measure ranks parameters; those that the tables do not keep for each parameter are missing. */
const OF_PARAMETERS: Readonly<Partial<Record<Measure, (columns: ParameterColumns, i: number) => number>>> = {
  'path length': ({ pathLength }, i) => pathLength[i]!,
  distance: ({ movement }, i) => Math.abs(movement[i]!),
  'Synaptic Intelligence': ({ lca, movement }, i) => -lca[i]! / (movement[i]! ** 2 + DAMPING),
  'empirical Fisher': ({ fisher }, i) => fisher[i]!,
}

/**
 * Spearman's rank correlation of each measure with what parameters did for the loss, -LCA over the run: over tensors, and
 * over parameters (of more than a million an even choice of them), buffers left out.
 */
export async function correlateMeasures(
  query: Query,
  split: string,
  tensors: readonly TensorAnalysis[],
): Promise<MeasureCorrelation[]> {
  const trained = tensors.filter(({ role }) => role !== 'buffer')
  const columns = await parameterColumns(query, split, trained)
  const helped = Float64Array.from(columns.lca, (lca) => -lca)
  return Object.entries(OF_TENSORS).map(([measure, ofTensor]) => {
    const ofParameter = OF_PARAMETERS[measure as Measure]
    return {
      measure: measure as Measure,
      tensors: spearman(
        trained.map(ofTensor),
        trained.map(({ total }) => -total.value),
      ),
      parameters:
        ofParameter === undefined
          ? NaN
          : spearman(
              helped.map((_, i) => ofParameter(columns, i)),
              helped,
            ),
    }
  })
}

async function parameterColumns(
  query: Query,
  split: string,
  trained: readonly TensorAnalysis[],
): Promise<ParameterColumns> {
  const parameters = trained.reduce((sum, tensor) => sum + tensor.parameters, 0)
  const bound = Math.ceil(2 ** 32 * Math.min(1, MOST_RANKED / parameters))
  const names = list(trained.map(({ name }) => name))
  const { columns } = await query.columns(
    `select lca, movement, path_length, fisher from totals
     where split = ${text(split)} and list_contains(${names}, tensor) 
       and ("index"::bigint * ${GOLDEN}) % ${2 ** 32} < ${bound}`,
  )
  const column = (name: string): ArrayLike<number> => columns[name] as Float64Array
  return {
    lca: column('lca'),
    movement: column('movement'),
    pathLength: column('path_length'),
    fisher: column('fisher'),
  }
}
