import type { Engine, Evaluation, Gradients, Parameters } from '../../src/engines/engine.js'
import type { Batch, TableName } from '../../src/tables/schema.js'
import type { Checkpoint, Trajectory } from '../../src/trajectory/checkpoint.js'
import type { LcaTensor } from '../../src/replay/tensors.js'
import { unitsAlong } from '../../src/replay/tensors.js'
import type { TableSink } from '../../src/replay/rows.js'

/** A loss with a known formula: value and gradient of all parameters, tensors one behind the other. */
export interface Formula {
  readonly value: (theta: readonly number[]) => number
  readonly gradient: (theta: readonly number[]) => number[]
}

/** An engine that evaluates a formula exactly where ONNX Runtime would evaluate a network. */
export class FormulaEngine implements Engine {
  readonly description = 'a formula'
  /** Points at which gradients were asked for, in order. */
  readonly points: number[][] = []

  constructor(
    private readonly formula: Formula,
    private readonly afterEvaluation: (count: number) => void = () => undefined,
    readonly precision: Engine['precision'] = 'float32',
  ) {}

  evaluate(
    parameters: Parameters,
    split: { readonly samples: number },
    _cut: unknown,
    gradients: Gradients,
    onProgress?: (samples: number) => void,
  ): Promise<Evaluation> {
    const theta = [...parameters.values()].flatMap((values) => [...values])
    const gradient = this.formula.gradient(theta)
    let next = 0
    for (const values of gradients.values())
      for (let i = 0; i < values.length; i += 1) values[i] = gradient[next++]!
    this.points.push(theta)
    this.afterEvaluation(this.points.length)
    onProgress?.(split.samples)
    return Promise.resolve({ loss: this.formula.value(theta) })
  }

  close(): Promise<void> {
    return Promise.resolve()
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
export class MemorySink implements TableSink {
  readonly rows: Record<TableName, Record<string, unknown>[]> = {
    steps: [],
    tensors: [],
    units: [],
    parameters: [],
    totals: [],
  }
  /** Number of `steps` rows at each end of a block. */
  readonly blocks: number[] = []

  append<T extends TableName>(table: T, rows: number, batch: Batch<T>): void {
    const columns = Object.entries(batch as Record<string, unknown>)
    for (let row = 0; row < rows; row += 1)
      this.rows[table].push(Object.fromEntries(columns.map(([name, values]) => [name, entry(values, row)])))
  }

  endBlock(): void {
    this.blocks.push(this.rows.steps.length)
  }
}

function entry(values: unknown, row: number): unknown {
  if (typeof values !== 'object' || values === null) return values
  const value: unknown = (values as ArrayLike<unknown>)[row]
  return ArrayBuffer.isView(value) || Array.isArray(value)
    ? Array.from(value as unknown as ArrayLike<unknown>)
    : value
}
