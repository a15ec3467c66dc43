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
  const drawn = new Set([...several].sort((a, b) => b.moved - a.moved).slice(0, MAPS))
  const tensors: TensorUnits[] = []
  for (const tensor of several) {
    const totals = byTensor.get(tensor.tensor)!
    const map = drawn.has(tensor)
      ? await unitMap(query, split, { ...run, tensor: tensor.tensor, totals })
      : undefined
    tensors.push({ ...describe(tensor, totals), ...(map && { map }) })
  }
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

interface Drawn {
  readonly tensor: string
  readonly totals: readonly UnitTotal[]
  readonly intervals: number
  readonly firstInterval: number
}

/** LCA of the units that moved the loss most, over bins of neighbouring intervals. */
async function unitMap(
  query: Query,
  split: string,
  { tensor, totals, intervals, firstInterval }: Drawn,
): Promise<UnitMap | undefined> {
  if (!query.tables.includes('units')) return undefined
  const units = [...totals]
    .sort((a, b) => Math.abs(b.lca) - Math.abs(a.lca))
    .slice(0, UNITS)
    .map(({ unit }) => unit)
    .sort((a, b) => a - b)
  const width = Math.ceil(intervals / BINS)
  const bins = Math.ceil(intervals / width)
  const rows = await query.rows<{ unit: number; bin: number; lca: number }>(
    `select unit, ((interval - ${firstInterval}) // ${width})::integer as bin, sum(lca) as lca from units
     where split = ${text(split)} and tensor = ${text(tensor)} and list_contains([${units.join(', ')}], unit) group by all`,
  )
  const lca = units.map(() => Array.from({ length: bins }, () => 0))
  const place = new Map(units.map((unit, at) => [unit, at]))
  for (const row of rows) lca[place.get(row.unit)!]![row.bin] = row.lca
  return { units, bins: [...Array.from({ length: bins }, (_, bin) => bin * width), intervals], lca }
}
