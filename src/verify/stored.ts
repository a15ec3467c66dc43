import { ResultsError } from '../errors.js'
import type { Results } from '../tables/read.js'
import type { IntervalFacts } from './choose.js'
import type { Contradiction } from './model.js'

/** A row of `steps`, as far as it is compared. */
export interface StoredStep {
  readonly interval: number
  readonly split: string
  readonly stepFrom: number
  readonly stepTo: number
  readonly lossFrom: number
  readonly lossTo: number
  readonly lca: number
  readonly residual: number
  readonly parts: number
  readonly parameters: number
  readonly helping: number
}

/** Values of a fine table by tensor: of units or parameters, by their index. */
export type FineValues = ReadonlyMap<string, ArrayLike<number>>

/** The tables of steps and tensors, and access to the finer ones interval by interval. */
export class StoredResults {
  private constructor(
    readonly results: Results,
    /** By split, then by interval. */
    private readonly steps: ReadonlyMap<string, ReadonlyMap<number, StoredStep>>,
    /** LCA by split, interval and tensor. */
    private readonly tensors: ReadonlyMap<string, ReadonlyMap<string, number>>,
    /** What `steps` says of itself that does not hold. */
    readonly contradictions: readonly Contradiction[],
  ) {}

  /**
   * @param tolerance of the run
   * @throws ResultsError where a table is missing or damaged
   */
  static async read(results: Results, tolerance: number): Promise<StoredResults> {
    const steps = await readSteps(results, tolerance)
    const tensors = await readTensors(results)
    return new StoredResults(results, steps.rows, tensors, [
      ...steps.contradictions,
      ...sumContradictions(steps.rows, tensors),
    ])
  }

  get splits(): string[] {
    return this.results.manifest.data.map(({ split }) => split)
  }

  /** Every interval, ascending, by the largest of its splits. */
  intervals(): IntervalFacts[] {
    const [first] = this.splits
    const numbers = [...(this.steps.get(first!)?.keys() ?? [])].sort((a, b) => a - b)
    return numbers.map((interval) => {
      const rows = this.splits.map((split) => this.step(split, interval))
      return {
        interval,
        residual: Math.max(...rows.map(({ residual }) => Math.abs(residual))),
        lca: Math.max(...rows.map(({ lca }) => Math.abs(lca))),
      }
    })
  }

  /** @throws ResultsError where there is no such row */
  step(split: string, interval: number): StoredStep {
    const row = this.steps.get(split)?.get(interval)
    if (row === undefined) throw this.missing('steps', split, interval)
    return row
  }

  /** LCA by tensor. @throws ResultsError where there are no such rows */
  tensorsOf(split: string, interval: number): ReadonlyMap<string, number> {
    const rows = this.tensors.get(keyOf(split, interval))
    if (rows === undefined) throw this.missing('tensors', split, interval)
    return rows
  }

  /** LCA of units by tensor; undefined where the results don't have them. */
  async unitsOf(split: string, interval: number): Promise<FineValues | undefined> {
    if (!this.results.tables.includes('units')) return undefined
    const { rows, columns } = await this.results.readTable('units', {
      columns: ['tensor', 'unit', 'lca'],
      filter: { split, interval },
    })
    const values = new Map<string, number[]>()
    for (let row = 0; row < rows; row += 1) {
      const tensor = columns.tensor[row]!
      const units = values.get(tensor) ?? []
      units[columns.unit[row]!] = columns.lca[row]!
      values.set(tensor, units)
    }
    return values
  }

  /** LCA of parameters by tensor; undefined where the results don't have them. */
  async parametersOf(split: string, interval: number): Promise<FineValues | undefined> {
    if (!this.results.tables.includes('parameters')) return undefined
    const { rows, columns } = await this.results.readTable('parameters', {
      columns: ['tensor', 'lca'],
      filter: { split, interval },
    })
    return new Map(Array.from({ length: rows }, (_, row) => [columns.tensor[row]!, columns.lca[row]!]))
  }

  private missing(table: string, split: string, interval: number): ResultsError {
    return new ResultsError(
      `${this.results.dir}: ${table} has no row of interval ${interval} on ${split}; the table is damaged`,
    )
  }
}

function keyOf(split: string, interval: number): string {
  return `${interval} ${split}`
}

interface Steps {
  readonly rows: Map<string, Map<number, StoredStep>>
  readonly contradictions: Contradiction[]
}

async function readSteps(results: Results, tolerance: number): Promise<Steps> {
  const { rows: count, columns } = await results.readTable('steps')
  const rows = new Map<string, Map<number, StoredStep>>()
  const contradictions: Contradiction[] = []
  for (let row = 0; row < count; row += 1) {
    const number = (name: 'loss_from' | 'loss_to' | 'lca' | 'residual' | 'loss_change' | 'rest'): number =>
      columns[name][row]!
    const [split, interval] = [columns.split[row]!, columns.interval[row]!]
    const step: StoredStep = {
      interval,
      split,
      stepFrom: columns.step_from[row]!,
      stepTo: columns.step_to[row]!,
      lossFrom: number('loss_from'),
      lossTo: number('loss_to'),
      lca: number('lca'),
      residual: number('residual'),
      parts: columns.splits[row]!,
      parameters: columns.parameters[row]!,
      helping: columns.helping[row]!,
    }
    const ofSplit = rows.get(split) ?? new Map<number, StoredStep>()
    rows.set(split, ofSplit.set(interval, step))
    const change = step.lossTo - step.lossFrom
    const gap = step.lca - change
    const claims: [string, number, number][] = [
      ['loss_change is not loss_to - loss_from', number('loss_change'), change],
      ['residual is not lca - loss_change', step.residual, gap],
      ['rest is not loss_change - lca', number('rest'), -gap],
    ]
    for (const [what, value, expected] of claims)
      if (!Number.isNaN(value) && !close(value, expected, step))
        contradictions.push({ interval, split, what })
    if (columns.converged[row] === true && Math.abs(step.residual) > tolerance)
      contradictions.push({
        interval,
        split,
        what: 'converged, but |residual| is above the tolerance of the run',
      })
    const before = ofSplit.get(interval - 1)
    if (before !== undefined && before.lossTo !== step.lossFrom)
      contradictions.push({
        interval,
        split,
        what: 'loss_from is not loss_to of the interval before',
      })
  }
  return { rows, contradictions }
}

async function readTensors(results: Results): Promise<Map<string, Map<string, number>>> {
  const { rows, columns } = await results.readTable('tensors', {
    columns: ['split', 'interval', 'tensor', 'lca'],
  })
  const tensors = new Map<string, Map<string, number>>()
  for (let row = 0; row < rows; row += 1) {
    const key = keyOf(columns.split[row]!, columns.interval[row]!)
    const ofInterval = tensors.get(key) ?? new Map<string, number>()
    tensors.set(key, ofInterval.set(columns.tensor[row]!, columns.lca[row]!))
  }
  return tensors
}

/** Where LCA of an interval is not the sum of its tensors'. */
function sumContradictions(steps: Steps['rows'], tensors: Map<string, Map<string, number>>): Contradiction[] {
  return [...steps.values()].flatMap((rows) =>
    [...rows.values()].flatMap((step) => {
      const values = [...(tensors.get(keyOf(step.split, step.interval))?.values() ?? [])]
      const sum = values.reduce((total, value) => total + value, 0)
      if (close(sum, step.lca, step)) return []
      const { interval, split } = step
      return [{ interval, split, what: 'lca of steps is not the sum of lca of tensors' }]
    }),
  )
}

/** Equal but for the rounding of sums in float64. */
function close(a: number, b: number, { lossFrom, lossTo, lca }: StoredStep): boolean {
  return Math.abs(a - b) <= 1e-9 * (Math.abs(lossFrom) + Math.abs(lossTo) + Math.abs(lca))
}
