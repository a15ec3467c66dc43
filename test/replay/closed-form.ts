import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Engine, MicroBatch, MicroBatchResult, Parameters, SplitData } from '../../src/engines/engine.js'
import type { ReplaySink } from '../../src/replay/advance.js'
import { Buffers } from '../../src/replay/allocation.js'
import { ReplayJournal } from '../../src/replay/journal.js'
import { SIMPSON } from '../../src/replay/quadrature/simpson.js'
import { replay } from '../../src/replay/replay.js'
import type { ReplayInput, ReplayOptions } from '../../src/replay/replay-input.js'
import type { Outcome } from '../../src/replay/state.js'
import { Layout } from '../../src/replay/store/layout.js'
import { ReplayStore } from '../../src/replay/store/store.js'
import type { LcaTensor } from '../../src/replay/tensors.js'
import { unitsAlong } from '../../src/replay/tensors.js'
import { LocalEvaluator } from '../../src/replay/workers/local.js'
import type { TableEntry } from '../../src/tables/manifest.js'
import type { Batch, TableName } from '../../src/tables/schema.js'
import type { Checkpoint, Trajectory } from '../../src/trajectory/checkpoint.js'

/** A loss with a known formula: value and gradient of all parameters, tensors one behind the other. */
export interface Formula {
  readonly value: (theta: readonly number[]) => number
  readonly gradient: (theta: readonly number[]) => number[]
}

/** An engine that evaluates a formula exactly where ONNX Runtime would evaluate a network. */
export class FormulaEngine implements Engine {
  readonly description = 'a formula'
  readonly fixedBatch = false
  /** Points at which gradients were asked for, in order. */
  readonly points: number[][] = []

  constructor(
    private readonly formula: Formula,
    private readonly afterEvaluation: (count: number) => void = () => undefined,
    readonly precision: Engine['precision'] = 'float32',
  ) {}

  run(parameters: Parameters, _split: SplitData, { count }: MicroBatch): Promise<MicroBatchResult> {
    const theta = [...parameters.values()].flatMap((values) => [...values])
    const sums = this.formula.gradient(theta).map((value) => value * count)
    const parts = new Map<string, Float64Array>()
    let start = 0
    for (const [name, { length }] of parameters)
      parts.set(name, Float64Array.from(sums.slice(start, (start += length))))
    this.points.push(theta)
    this.afterEvaluation(this.points.length)
    return Promise.resolve({
      numerator: this.formula.value(theta) * count,
      denominator: count,
      gradient: (name) => parts.get(name),
    })
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}

export interface FormulaRun {
  readonly engine: Engine
  readonly tensors: readonly LcaTensor[]
  readonly saves: readonly (readonly number[])[]
  /** Samples by split. */
  readonly splits?: Readonly<Record<string, number>>
  readonly lossOf?: 'sample' | 'micro-batch'
  readonly options?: Partial<ReplayOptions>
  /** Folder of the journal; an own one by default. */
  readonly folder?: string
}

const OPTIONS: ReplayOptions = {
  rule: SIMPSON,
  tolerance: 1e-3,
  maxSplits: 32,
  batchSize: 1024,
  mayHalve: true,
  granularity: 'parameter',
  window: 1,
}

/** A trajectory in memory, with an engine of this process. */
export function formulaInput(run: FormulaRun, store: ReplayStore): ReplayInput {
  const { engine, tensors, saves, splits = { train: 1 }, lossOf = 'sample' } = run
  const facts = { tensors, allocated: tensors.length, weightElements: 'float64' as const }
  const data = Object.values(splits).map((samples) => ({ data: { samples, inputs: new Map() } }))
  return {
    trajectory: trajectoryOf(tensors, saves),
    tensors,
    arrays: {
      store,
      buffers: new Buffers(),
      layout: new Layout(tensors),
      weightElements: facts.weightElements,
    },
    evaluator: new LocalEvaluator(engine, store, facts, data),
    splits: Object.entries(splits).map(([name, samples]) => ({ name, samples })),
    lossOf,
  }
}

/** Replays a trajectory in memory with an engine of this process. */
export async function replayFormula(run: FormulaRun, sink: ReplaySink): Promise<Outcome> {
  const own = mkdtempSync(join(tmpdir(), 'retrograd-'))
  const store = new ReplayStore(run.folder ?? own)
  store.make()
  const opened = ReplayJournal.open(store.folder)
  try {
    return await replay(formulaInput(run, store), { ...OPTIONS, ...run.options }, opened, sink)
  } finally {
    opened.journal.close()
    rmSync(own, { recursive: true, force: true })
  }
}

export function tensor(
  name: string,
  shape: readonly number[],
  role: LcaTensor['role'] = 'weight',
  axis = 0,
): LcaTensor {
  const size = shape.reduce((product, length) => product * length, 1)
  const layer = name.split('.')[0]!
  return {
    name,
    checkpointName: name,
    parameterName: name,
    layer,
    role,
    shape,
    size,
    units: unitsAlong(shape, axis),
  }
}

/** A trajectory in memory: one list of all parameters per checkpoint. */
export function trajectoryOf(
  tensors: readonly LcaTensor[],
  saves: readonly (readonly number[])[],
): Trajectory {
  const checkpoints = saves.map((values, index): Checkpoint => {
    const parts = new Map<string, Float64Array>()
    let start = 0
    for (const { name, size } of tensors)
      parts.set(name, Float64Array.from(values.slice(start, (start += size))))
    return {
      path: `memory save ${index}`,
      step: index * 10,
      bytes: values.length * 8,
      tensors: new Map(tensors.map(({ name, shape }) => [name, { name, shape, dtype: 'float64' }])),
      read: (name) =>
        Promise.resolve({
          dtype: 'float64',
          shape: tensors.find((t) => t.name === name)!.shape,
          data: parts.get(name)!,
        }),
      fingerprint: () => Promise.resolve(String(index)),
    }
  })
  return {
    path: 'memory',
    format: 'memory',
    stepUnit: 'step',
    checkpoints,
    leftOut: [],
    notes: [],
  }
}

/** Rows in memory, one object a row. Array columns are copied when appended, as a file would. */
export class MemorySink implements ReplaySink {
  readonly rows: Record<TableName, Record<string, unknown>[]> = {
    steps: [],
    tensors: [],
    units: [],
    parameters: [],
    totals: [],
    blocks: [],
  }
  /** Number of `steps` rows at each end of a block. */
  readonly blocks: number[] = []

  append<T extends TableName>(table: T, rows: number, batch: Batch<T>): void {
    const columns = Object.entries(batch as Record<string, unknown>)
    for (let row = 0; row < rows; row += 1)
      this.rows[table].push(Object.fromEntries(columns.map(([name, values]) => [name, entry(values, row)])))
  }

  endBlock(): TableEntry[] {
    this.blocks.push(this.rows.steps.length)
    return Object.entries(this.rows).map(([name, rows]) => ({
      name: name as TableName,
      rows: rows.length,
      parts: 1,
      bytes: 0,
    }))
  }

  restore(entries: readonly TableEntry[]): void {
    for (const [name, rows] of Object.entries(this.rows))
      rows.length = entries.find((entry) => entry.name === name)?.rows ?? 0
  }
}

function entry(values: unknown, row: number): unknown {
  if (typeof values !== 'object' || values === null) return values
  const value: unknown = (values as ArrayLike<unknown>)[row]
  return ArrayBuffer.isView(value) || Array.isArray(value)
    ? Array.from(value as unknown as ArrayLike<unknown>)
    : value
}
