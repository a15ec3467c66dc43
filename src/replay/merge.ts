import { UsageError } from '../errors.js'
import { differences } from '../tables/identity.js'
import type { Manifest, ManifestFacts } from '../tables/manifest.js'
import { openResults } from '../tables/read.js'
import type { Results } from '../tables/read.js'
import { TABLES } from '../tables/schema.js'
import type { Batch, ColumnBatch, Granularity } from '../tables/schema.js'
import { ResultsWriter } from '../tables/writer.js'
import { VERSION } from '../version.js'

export interface MergeOptions {
  /** Results folders of `--intervals`, in any order. */
  readonly parts: readonly string[]
  readonly out: string
  readonly overwrite: boolean
}

/** Part of a run: its folder and which intervals it holds. */
interface Part {
  readonly results: Results
  readonly from: number
  readonly to: number
  readonly of: number
}

/**
 * Joins parts of a run into the tables that one run gives, value for value in every bit: rows of intervals are those of
 * the parts, in order; totals are the sums of all blocks of intervals, added in order. Parts that don't reach from the
 * first interval to the last give a larger part.
 *
 * @throws UsageError where parts overlap, leave a gap, belong to different runs, or the output is taken
 * @throws ResultsError where a part is missing or damaged
 */
export async function mergeParts({ parts: folders, out, overwrite }: MergeOptions): Promise<Manifest> {
  const parts = (await Promise.all(folders.map(openPart))).sort((a, b) => a.from - b.from)
  checkParts(parts)
  const [first, last] = [parts[0]!, parts.at(-1)!]
  const whole = first.from === 0 && last.to === first.of
  const facts = mergedFacts(parts, out, whole)
  const granularity = first.results.manifest.options.granularity as Granularity
  const of = whole ? 'run' : 'part'
  const writer = await ResultsWriter.create(out, { granularity, of, overwrite, facts })
  try {
    for (const table of first.results.tables) {
      const kept = TABLES[table].rowsOf === 'interval' && (table !== 'blocks' || !whole)
      if (kept) for (const part of parts) await writer.adopt(table, await part.results.partsOf(table))
    }
    await writeTotals(parts, writer)
    return await writer.commit(facts)
  } catch (error) {
    await writer.discard()
    throw error
  }
}

async function openPart(folder: string): Promise<Part> {
  const results = await openResults(folder)
  const { status, intervals } = results.manifest
  if (status !== 'part' || intervals === undefined)
    throw new UsageError(`${folder} holds a whole run, not a part of one (run with --intervals)`)
  const { from, to, of } = intervals
  return { results, from, to, of }
}

function checkParts(parts: readonly Part[]): void {
  const [first] = parts
  if (first === undefined) throw new UsageError('no parts to merge: name their folders')
  for (const [i, part] of parts.entries()) {
    const before = parts[i - 1]
    if (before === undefined) continue
    const [a, b] = [named(before), named(part)]
    if (part.from < before.to) throw new UsageError(`${a} and ${b} overlap`)
    if (part.from > before.to)
      throw new UsageError(`intervals ${before.to} to ${part.from} are missing between ${a} and ${b}`)
    checkSameRun(first, part)
  }
}

function named({ results, from, to }: Part): string {
  return `${results.dir} (intervals ${from}:${to})`
}

/** Options of a part of its own, or without effect on results. */
const OF_A_PART = [
  'intervals',
  'out',
  'overwrite',
  'workers',
  'threads',
  'checkpoints',
  'model',
  'splits',
  'batch_size_given',
]

function checkSameRun(first: Part, part: Part): void {
  const [a, b] = [first.results.manifest, part.results.manifest]
  if (a.identity === b.identity) return
  const options = ({ options }: Manifest) =>
    Object.fromEntries(Object.entries(options).filter(([name]) => !OF_A_PART.includes(name)))
  const inputs = ({ model, data, device }: Manifest) => ({
    model: model.sha256,
    data: data.map(({ sha256 }) => sha256),
    device,
  })
  const different = [...differences(options(a), options(b)), ...differences(inputs(a), inputs(b))]
  throw new UsageError(
    `${part.results.dir} belongs to another run than ${first.results.dir}: ` +
      (different.length > 0 ? different.join('; ') : 'checkpoints or versions differ'),
  )
}

function mergedFacts(parts: readonly Part[], out: string, whole: boolean): ManifestFacts {
  const manifests = parts.map(({ results }) => results.manifest)
  const { from, of } = parts[0]!
  const { to } = parts.at(-1)!
  const facts = manifests[0]!
  const intervals = whole ? null : { from, to }
  return {
    ...facts,
    status: whole ? 'complete' : 'part',
    intervals: { from, to, of },
    retrograd: { ...facts.retrograd, merged_by: VERSION },
    options: { ...facts.options, intervals, out },
    created: manifests.map(({ created }) => created).sort()[0]!,
    finished: new Date().toISOString(),
    // parts share the checkpoint between them
    checkpoints: manifests.flatMap(({ checkpoints }, i) => (i === 0 ? checkpoints : checkpoints.slice(1))),
    result: mergedResult(manifests),
  }
}

function mergedResult(manifests: readonly Manifest[]): Manifest['result'] {
  const results = manifests.map(({ result }) => result)
  const numbers = (name: string): number[] => results.map((result) => Number(result[name] ?? 0))
  const total = (name: string): number => numbers(name).reduce((sum, value) => sum + value, 0)
  return {
    intervals: total('intervals'),
    converged: total('converged'),
    largest_residual: Math.max(...numbers('largest_residual')),
    largest_estimate: Math.max(...numbers('largest_estimate')),
    noise_floor: Math.max(...numbers('noise_floor')),
    evaluations: total('evaluations'),
    ...batchSizes(results),
  }
}

/** The size of micro-batches, the last part's where they differ, and what happened on the way. */
function batchSizes(results: readonly Manifest['result'][]): Pick<Manifest['result'], string> {
  const sizes = results.flatMap(({ batch_size: size }) => (typeof size === 'number' ? [size] : []))
  const own = results.flatMap(({ messages }) => (messages as string[] | undefined) ?? [])
  const different =
    new Set(sizes).size > 1
      ? [`parts have micro-batches of ${sizes.join(', ')} samples, which numbers hang on in their last bits`]
      : []
  return {
    ...(sizes.length > 0 && { batch_size: sizes.at(-1) }),
    messages: [...own, ...different],
  }
}

type Summed = Omit<Batch<'totals'>, 'split' | 'tensor' | 'index' | 'unit' | 'fisher'>
type SummedName = keyof Summed

/** The columns of `blocks` that are sums over its intervals. */
const SUMMED = [
  'lca',
  'helped',
  'hurt',
  'lca_flips',
  'movement_flips',
  'gradient_flips',
  'undone',
  'movement',
  'path_length',
] as const satisfies SummedName[]

/** Adds the blocks of all parts in order, tensor by tensor. */
async function writeTotals(parts: readonly Part[], writer: ResultsWriter): Promise<void> {
  const { data, tensors } = parts[0]!.results.manifest
  for (const { split } of data)
    for (const { tensor, parameters } of tensors) {
      if (parameters === 0) continue
      const sums = new TensorBlocks(parameters)
      for (const { results } of parts)
        for await (const batch of results.batches('blocks', { filter: { split, tensor } })) sums.add(batch)
      writer.append('totals', parameters, { split, tensor, ...sums.columns(), fisher: NaN })
    }
}

/** One tensor's sums over blocks of intervals. */
class TensorBlocks {
  private readonly index: Int32Array
  private readonly unit: Int32Array
  private readonly sums = new Map<SummedName, Float64Array>()

  constructor(size: number) {
    this.index = Int32Array.from({ length: size }, (_, i) => i)
    this.unit = new Int32Array(size)
    for (const name of SUMMED) this.sums.set(name, new Float64Array(size))
  }

  /** Rows come block by block, so that every element's blocks come in their order. */
  add({ rows, columns }: ColumnBatch<'blocks'>): void {
    const { index, unit } = columns
    for (let row = 0; row < rows; row += 1) this.unit[index[row]!] = unit[row]!
    for (const name of SUMMED) {
      const [sum, values] = [this.sums.get(name)!, columns[name]]
      for (let row = 0; row < rows; row += 1) sum[index[row]!]! += values[row]!
    }
  }

  columns() {
    const entries = SUMMED.map((name) => [name, this.sums.get(name)!] as const)
    return {
      index: this.index,
      unit: this.unit,
      ...(Object.fromEntries(entries) as Record<SummedName, Float64Array>),
    }
  }
}
