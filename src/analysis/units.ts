import { list, text } from '../tables/query-views.js'
import type { Query } from '../tables/query.js'
import type { TensorUnits, UnitAnalysis, UnitMap } from './model.js'

/** Units drawn of a tensor, and bins of neighbouring intervals. */
const UNITS = 64
const BINS = 100
/** Tensors whose units are drawn: those that moved the loss most. */
const MAPS = 40

interface UnitTotal {
  readonly tensor: string
  readonly unit: number
  readonly lca: number
  /** Intervals in which a parameter of it helped or hurt, summed over its parameters. */
  readonly moments: number
}

/** A tensor whose units are told of. */
export interface UnitTensor {
  readonly tensor: string
  readonly layer: string
  /** Sum over the run of |LCA| per interval: which tensors are worth a picture. */
  readonly moved: number
}

/** What `totals` and `units` say of the units of tensors on one split. */
export async function analyzeUnits(
  query: Query,
  split: string,
  run: {
    readonly intervals: number
    readonly firstInterval: number
    readonly tensors: readonly UnitTensor[]
  },
): Promise<UnitAnalysis> {
  const byTensor = await unitTotals(query, split, run.tensors)
  const several = run.tensors.filter(({ tensor }) => (byTensor.get(tensor)?.length ?? 0) > 1)
  const drawn = [...several]
    .sort((a, b) => b.moved - a.moved)
    .slice(0, MAPS)
    .map(({ tensor }) => ({ tensor, units: mostMoving(byTensor.get(tensor)!) }))
  const maps = await unitMaps(query, split, { ...run, drawn })
  const tensors = several.map((tensor) => {
    const map = maps.get(tensor.tensor)
    return { ...describe(tensor, byTensor.get(tensor.tensor)!), ...(map && { map }) }
  })
  return { tensors }
}

async function unitTotals(
  query: Query,
  split: string,
  tensors: readonly UnitTensor[],
): Promise<Map<string, UnitTotal[]>> {
  const names = list(tensors.map(({ tensor }) => tensor))
  const rows = await query.rows<UnitTotal>(
    `select tensor, unit, sum(lca) as lca, sum(helped + hurt)::double as moments from totals
     where split = ${text(split)} and list_contains(${names}, tensor) group by all order by tensor, unit`,
  )
  const byTensor = new Map<string, UnitTotal[]>()
  for (const row of rows) {
    const units = byTensor.get(row.tensor)
    if (units === undefined) byTensor.set(row.tensor, [row])
    else units.push(row)
  }
  return byTensor
}

function describe({ tensor, layer }: UnitTensor, units: readonly UnitTotal[]): Omit<TensorUnits, 'map'> {
  const ranked = [...units].sort((a, b) => a.lca - b.lca)
  const [best, worst] = [ranked[0]!, ranked.at(-1)!]
  return {
    tensor,
    layer,
    count: units.length,
    dead: units.filter(({ moments }) => moments === 0).map(({ unit }) => unit),
    half: carryingHalf(ranked.filter(({ lca }) => lca < 0).map(({ lca }) => lca)),
    best: { unit: best.unit, lca: best.lca },
    worst: { unit: worst.unit, lca: worst.lca },
  }
}

/** How many of the first ones carry half of all. */
function carryingHalf(sizes: readonly number[]): number {
  const half = sizes.reduce((sum, size) => sum + size, 0) / 2
  let [count, carried] = [0, 0]
  while (count < sizes.length && Math.abs(carried) < Math.abs(half)) {
    carried += sizes[count]!
    count += 1
  }
  return count
}

/** The units that moved the loss most, by their number. */
function mostMoving(units: readonly UnitTotal[]): number[] {
  return [...units]
    .sort((a, b) => Math.abs(b.lca) - Math.abs(a.lca))
    .slice(0, UNITS)
    .map(({ unit }) => unit)
    .sort((a, b) => a - b)
}

interface Drawing {
  readonly intervals: number
  readonly firstInterval: number
  readonly drawn: readonly { readonly tensor: string; readonly units: readonly number[] }[]
}

/** LCA of units over bins of neighbouring intervals, by tensor; the table is read once. */
async function unitMaps(
  query: Query,
  split: string,
  { intervals, firstInterval, drawn }: Drawing,
): Promise<ReadonlyMap<string, UnitMap>> {
  if (!query.tables.includes('units') || drawn.length === 0) return new Map()
  const width = Math.ceil(intervals / BINS)
  const starts = Array.from({ length: Math.ceil(intervals / width) }, (_, bin) => bin * width)
  const wanted = drawn.flatMap(({ tensor, units }, place) =>
    units.map((unit, row) => `(${text(tensor)}, ${unit}, ${place}, ${row})`),
  )
  const { rows, columns } = await query.columns(
    `select place, row, ((interval - ${firstInterval}) // ${width}) as bin, sum(lca) as lca
     from units join (values ${wanted.join(', ')}) as wanted(tensor, unit, place, row) using (tensor, unit)
     where split = ${text(split)} group by all`,
  )
  const lca = drawn.map(({ units }) => units.map(() => starts.map(() => 0)))
  const column = (name: string): Float64Array => columns[name] as Float64Array
  const [place, row, bin, sums] = [column('place'), column('row'), column('bin'), column('lca')]
  for (let i = 0; i < rows; i += 1) lca[place[i]!]![row[i]!]![bin[i]!] = sums[i]!
  return new Map(
    drawn.map(({ tensor, units }, i) => [tensor, { units, bins: [...starts, intervals], lca: lca[i]! }]),
  )
}
