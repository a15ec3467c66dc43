import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { CheckpointError } from '../../src/errors.js'
import type { Engine, MicroBatch, MicroBatchResult, Parameters, SplitData } from '../../src/engines/engine.js'
import type { ReplayOptions } from '../../src/replay/replay-input.js'
import { WorkerMemoryError } from '../../src/replay/workers/pool.js'
import { rejection } from '../support/rejection.js'
import { FormulaEngine, MemorySink, replayFormula, tensor } from './closed-form.js'
import type { Formula } from './closed-form.js'

const TENSORS = [tensor('a.weight', [2, 2]), tensor('a.bias', [2], 'bias')]

/** L = 1/2 theta' H theta: Simpson is exact, and A = movement times the mean of the gradients at both ends. */
const H = Array.from({ length: 6 }, (_, i) =>
  Array.from({ length: 6 }, (__, j) => (i === j ? 2 + i : 0.25 * Math.cos(i + j))),
)
const QUADRATIC: Formula = {
  value: (theta) => 0.5 * theta.reduce((sum, x, i) => sum + x * dot(H[i]!, theta), 0),
  gradient: (theta) => H.map((row) => dot(row, theta)),
}

/** L = sum theta^6: Simpson's error is known, and falls by 16 when splits double. */
const SIXTH: Formula = {
  value: (theta) => theta.reduce((sum, x) => sum + x ** 6, 0),
  gradient: (theta) => theta.map((x) => 6 * x ** 5),
}

function dot(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, x, i) => sum + x * b[i]!, 0)
}

/** float32 values, since the engine's points are float32. */
function walk(saves: number, size = 6): number[][] {
  return Array.from({ length: saves }, (_, t) =>
    Array.from({ length: size }, (__, i) => Math.fround(Math.sin(1.7 * t + i) / (1 + t / 7) + 0.1 * i)),
  )
}

async function run(
  formula: Formula,
  saves: number[][],
  options: Partial<ReplayOptions> = {},
  tensors = TENSORS,
) {
  const [engine, sink] = [new FormulaEngine(formula), new MemorySink()]
  const outcome = await replayFormula({ engine, tensors, saves, options }, sink)
  return { engine, sink, outcome }
}

/** Adds several micro-batches up by itself, and counts how often it does. */
class SummingEngine extends FormulaEngine {
  sums = 0

  sum(parameters: Parameters, split: SplitData, batches: readonly MicroBatch[]): Promise<MicroBatchResult> {
    this.sums += 1
    const count = batches.reduce((total, batch) => total + batch.count, 0)
    return this.run(parameters, split, { start: 0, count, size: count })
  }
}

/** A device that has memory for so many samples at once. */
class SmallDevice extends FormulaEngine {
  readonly sizes: number[] = []

  constructor(private readonly fits: number) {
    super(SIXTH)
  }

  override run(parameters: Parameters, split: SplitData, batch: MicroBatch): Promise<MicroBatchResult> {
    this.sizes.push(batch.size)
    return batch.size > this.fits
      ? Promise.reject(new WorkerMemoryError('CUDA failure 2: out of memory'))
      : super.run(parameters, split, batch)
  }
}

describe('replay on a device', () => {
  const MEMORY = 'micro-batches of 64 samples'
  const run = (engine: FormulaEngine, options: Partial<ReplayOptions>, folder?: string) => {
    const sink = new MemorySink()
    const replayed = replayFormula(
      { engine, tensors: TENSORS, saves: walk(3), splits: { train: 64 }, options, ...(folder && { folder }) },
      sink,
    )
    return replayed.then((outcome) => ({
      outcome,
      lca: sink.rows.parameters.flatMap((row) => row.lca as number[]),
    }))
  }

  it('halves the micro-batch until it fits into the memory, and loses nothing', async () => {
    const whole = await run(new FormulaEngine(SIXTH), { batchSize: 4 })
    const { outcome, lca } = await run(new SmallDevice(4), { batchSize: 64, onDevice: true })
    expect(outcome.batchSize).to.equal(4)
    expect(outcome.messages).to.deep.equal(
      [32, 16, 8, 4].map(
        (size) =>
          `CUDA failure 2: out of memory; what is unfinished, from interval 0 on, has micro-batches of ${size} samples instead of ${2 * size}`,
      ),
    )
    expect(lca).to.deep.equal(whole.lca)
  })

  it('ends with exit code 1 where not even one sample fits', async () => {
    const error = await rejection(run(new SmallDevice(0), { batchSize: 4, onDevice: true }))
    expect(error).to.include({ exitStatus: 1 })
    expect(error.message).to.equal(
      'CUDA failure 2: out of memory, with micro-batches of one sample; use --device cpu',
    )
  })

  it('leaves the micro-batch as it is where it is part of the loss', async () => {
    const options = { batchSize: 64, onDevice: true, mayHalve: false }
    expect((await rejection(run(new SmallDevice(4), options))).message).to.equal(
      'CUDA failure 2: out of memory; the micro-batch is part of the loss and stays as it is: use --device cpu',
    )
  })

  it('keeps to the size that its memory chose first, whatever is free when it goes on', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'retrograd-'))
    try {
      const notes: string[] = []
      const options = { onDevice: true, fromMemory: MEMORY, onNote: (note: string) => notes.push(note) }
      const stop = new AbortController()
      const first = new FormulaEngine(SIXTH, (count) => {
        if (count === 4) stop.abort()
      })
      const begun = await run(first, { ...options, batchSize: 16, signal: stop.signal }, folder)
      expect(begun.outcome.interrupted).to.equal(true)
      expect(notes).to.deep.equal([MEMORY])
      const engine = new SmallDevice(64)
      const { outcome } = await run(engine, { ...options, batchSize: 64 }, folder)
      expect(new Set(engine.sizes.filter((size) => size !== 8))).to.deep.equal(new Set([16]))
      expect(outcome).to.include({ batchSize: 16, interrupted: false })
      expect(outcome.messages).to.deep.equal([MEMORY])
      expect(notes).to.deep.equal([MEMORY])
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})

describe('replay', () => {
  it('lets an engine add up the micro-batches of a group by itself, but for a shorter one', async () => {
    const rowsOf = async (engine: FormulaEngine) => {
      const sink = new MemorySink()
      const run = {
        engine,
        tensors: TENSORS,
        saves: walk(3),
        splits: { train: 42 },
        options: { batchSize: 4 },
      }
      await replayFormula(run, sink)
      return sink.rows.parameters.flatMap((row) => row.lca as number[])
    }
    const [each, summing] = [new FormulaEngine(SIXTH), new SummingEngine(SIXTH)]
    const [expected, found] = [await rowsOf(each), await rowsOf(summing)]
    expect(found).to.have.length(expected.length)
    found.forEach((value, i) => {
      expect(value).to.be.closeTo(expected[i]!, 1e-12 * Math.abs(expected[i]!) + 1e-15)
    })
    // 11 micro-batches in two groups, of which the second ends with a shorter one
    expect(summing.sums).to.be.greaterThan(0)
    expect(each.points.length / summing.points.length).to.be.closeTo(11 / 3, 0.2)
  })

  it('gives each parameter of a quadratic its closed-form share', async () => {
    const saves = walk(4)
    const { sink } = await run(QUADRATIC, saves)
    const got = sink.rows.parameters
    saves.slice(1).forEach((to, t) => {
      const from = saves[t]!
      const [g0, g1] = [QUADRATIC.gradient(from), QUADRATIC.gradient(to)]
      const expected = to.map((x, i) => ((x - from[i]!) * (g0[i]! + g1[i]!)) / 2)
      const lca = got.filter((row) => row.interval === t).flatMap((row) => row.lca as number[])
      expected.forEach((value, i) => {
        expect(lca[i]).to.be.closeTo(value, 1e-6)
      })
    })
  })

  it('conserves: LCA sums to the loss change, and the rows say so', async () => {
    const saves = walk(4)
    const { sink, outcome } = await run(QUADRATIC, saves)
    sink.rows.steps.forEach((row, t) => {
      const change = QUADRATIC.value(saves[t + 1]!) - QUADRATIC.value(saves[t]!)
      expect(row.loss_change).to.be.closeTo(change, 1e-12)
      expect(row.lca).to.be.closeTo(change, 1e-6)
      expect(row.residual).to.equal((row.lca as number) - (row.loss_change as number))
      expect(row.converged).to.equal(true)
      expect([row.step_from, row.step_to, row.step_unit]).to.deep.equal([t * 10, t * 10 + 10, 'step'])
    })
    expect(outcome.converged).to.equal(3)
  })

  it('doubles splits until the residual is within the tolerance, and lands on composite Simpson', async () => {
    const saves = [[0], [2]]
    for (const [tolerance, splits] of [
      [100, 2],
      [1, 4],
      [0.1, 8],
      [0.004, 16],
    ] as const) {
      const { sink } = await run(SIXTH, saves, { tolerance }, [tensor('x', [1])])
      const [row] = sink.rows.steps
      expect(row!.splits, `tolerance ${tolerance}`).to.equal(splits)
      expect(row!.residual).to.be.closeTo(simpson(splits) - 64, 1e-5)
    }
  })

  /** Composite Simpson of 2 * 6 (2a)^5 over a in 0..1, from the rule's definition. */
  function simpson(parts: number): number {
    const f = (a: number): number => 2 * 6 * (2 * a) ** 5
    let sum = f(0) + f(1)
    for (let k = 1; k < parts; k += 1) sum += (k % 2 === 1 ? 4 : 2) * f(k / parts)
    return sum / (3 * parts)
  }

  it('computes no gradient twice: ends are shared and doubling adds only the new points', async () => {
    const { engine, sink, outcome } = await run(SIXTH, [[0], [2], [2.5]], { tolerance: 0.1 }, [
      tensor('x', [1]),
    ])
    expect(sink.rows.steps.map((row) => [row.splits, row.evaluations])).to.deep.equal([
      [8, 2 + 7],
      [2, 2],
    ])
    const noiseFloor = 1
    expect(engine.points).to.have.length(2 + 7 + 2 + noiseFloor)
    expect(outcome.evaluations).to.equal(engine.points.length)
    const inner = engine.points.map(([x]) => x!).filter((x) => x > 0)
    expect(new Set(inner).size).to.equal(inner.length)
  })

  it("rounds points to the engine's precision, and no further", async () => {
    for (const [precision, round] of [
      ['float32', Math.fround],
      ['float64', (x: number) => x],
    ] as const) {
      const tensors = [tensor('x', [1])]
      const engine = new FormulaEngine(SIXTH, () => undefined, precision)
      await replayFormula({ engine, tensors, saves: [[0.1], [0.2]], lossOf: 'micro-batch' }, new MemorySink())
      const points = engine.points.flat().sort()
      expect(points).to.deep.equal([round(0.1), round(0.1 + 0.5 * (0.2 - 0.1)), round(0.2)])
    }
  })

  it('stops at --max-splits and says that the interval did not converge', async () => {
    const { sink, outcome } = await run(SIXTH, [[0], [2]], { tolerance: 1e-9, maxSplits: 4 }, [
      tensor('x', [1]),
    ])
    expect(sink.rows.steps[0]).to.include({ splits: 4, converged: false })
    expect(outcome.converged).to.equal(0)
    expect(outcome.largestError).to.be.closeTo(Math.abs(simpson(4) - 64), 1e-5)
  })

  it('does not split in vain below the noise floor', async () => {
    let evaluations = 0
    const noisy: Formula = {
      value: (theta) => SIXTH.value(theta) + (evaluations++ % 2) * 1e-3,
      gradient: SIXTH.gradient,
    }
    const { sink, outcome } = await run(noisy, [[0], [0.5]], { tolerance: 1e-9 }, [tensor('x', [1])])
    expect(outcome.noiseFloor).to.be.closeTo(2e-3, 1e-12)
    expect(sink.rows.steps[0]).to.include({ splits: 2, converged: false })
  })

  it('does not estimate the noise of a loss that depends on how samples are cut', async () => {
    const tensors = [tensor('x', [1])]
    const engine = new FormulaEngine(SIXTH)
    const run = { engine, tensors, saves: [[0], [0.1]], lossOf: 'micro-batch' as const }
    const outcome = await replayFormula(run, new MemorySink())
    expect(outcome).to.include({ noiseFloor: 0, evaluations: 3 })
  })

  it('splits every data set alike while one of them has not converged', async () => {
    const tensors = [tensor('x', [1])]
    const [engine, sink] = [new FormulaEngine(SIXTH), new MemorySink()]
    const easy = new FormulaEngine({ value: ([x]) => x! * x!, gradient: ([x]) => [2 * x!] })
    const both: Engine = {
      description: 'two formulas',
      precision: 'float32',
      fixedBatch: false,
      run: (...args) => (args[1].samples === 1 ? easy : engine).run(...args),
      close: () => Promise.resolve(),
    }
    const splits = { train: 1, val: 2 }
    await replayFormula(
      { engine: both, tensors, saves: [[0], [2]], splits, options: { tolerance: 0.1 } },
      sink,
    )
    expect(sink.rows.steps.map((row) => [row.split, row.splits, row.converged])).to.deep.equal([
      ['train', 8, true],
      ['val', 8, true],
    ])
  })

  it('counts helping, hurting and still parameters, buffers apart', async () => {
    // L = x0 - x1 + 0 x2 + 5 buffer, so that signs follow from the movement
    const linear: Formula = { value: (t) => t[0]! - t[1]! + 5 * t[3]!, gradient: () => [1, -1, 0, 5] }
    const tensors = [tensor('w', [3]), tensor('running_mean', [1], 'buffer')]
    const { sink } = await run(linear, [[0, 0, 0, 0], [1, 2, 3, -1]], {}, tensors) // prettier-ignore
    expect(sink.rows.steps[0]).to.include({ parameters: 3, helping: 1, hurting: 1, still: 1, lca: 1 - 2 - 5 })
    expect(sink.rows.steps[0]!.update_norm).to.be.closeTo(Math.sqrt(1 + 4 + 9), 1e-12)
    expect(sink.rows.steps[0]!.gradient_norm).to.be.closeTo(Math.sqrt(2), 1e-12)
    expect(sink.rows.steps[0]!.cosine).to.be.closeTo(-(1 - 2) / (Math.sqrt(14) * Math.sqrt(2)), 1e-12)
    const [w, buffer] = sink.rows.tensors
    expect(w).to.include({ lca: -1, lca_helping: -2, lca_hurting: 1, helping: 1, hurting: 1, still: 1 })
    expect(buffer).to.include({ role: 'buffer', parameters: 1, lca: -5, helping: 1, hurting: 0, still: 0 })
  })

  it('relates movement to the gradient of its own start and of the start before', async () => {
    const saves = walk(3)
    const { sink } = await run(QUADRATIC, saves)
    const rows = sink.rows.tensors.filter((row) => row.tensor === 'a.bias')
    const part = (values: readonly number[]): number[] => values.slice(4)
    const movement = part(saves[2]!).map((x, i) => x - part(saves[1]!)[i]!)
    const cosine = (g: readonly number[]): number =>
      -dot(g, movement) / (Math.sqrt(dot(g, g)) * Math.sqrt(dot(movement, movement)))
    expect(rows[0]!.cosine_previous).to.be.NaN
    expect(rows[1]!.cosine).to.be.closeTo(cosine(part(QUADRATIC.gradient(saves[1]!))), 1e-6)
    expect(rows[1]!.cosine_previous).to.be.closeTo(cosine(part(QUADRATIC.gradient(saves[0]!))), 1e-6)
    expect(rows[1]!.first_order).to.be.closeTo(dot(part(QUADRATIC.gradient(saves[1]!)), movement), 1e-6)
    expect(rows[1]!.weight_norm).to.be.closeTo(Math.hypot(...part(saves[1]!)), 1e-12)
  })

  it('relates movement to that of the interval before, buffers apart in steps', async () => {
    const tensors = [tensor('a.weight', [2, 2]), tensor('running', [2], 'buffer')]
    // the second walk goes back and forth along one line; the third interval of the third does not move
    const walks = [
      walk(5),
      [0, 1, 0, 1].map((x) => [x, 2 * x, -x, 0.5 * x, 3 * x, x]),
      [0, 1, 2, 2, 3].map((x) => [x, 1, 1, 1, x * x, 1]),
    ]
    for (const saves of walks) {
      const { sink } = await run(QUADRATIC, saves, {}, tensors)
      saves.slice(1).forEach((_, t) => {
        const expected = (from: number, to: number): number =>
          t === 0 ? NaN : cosine(movement(saves, t - 1).slice(from, to), movement(saves, t).slice(from, to))
        const row = (table: 'steps' | 'tensors', name?: string): unknown =>
          sink.rows[table].find((one) => one.interval === t && one.tensor === name)!.cosine_movement
        close(row('steps'), expected(0, 4))
        close(row('tensors', 'a.weight'), expected(0, 4))
        close(row('tensors', 'running'), expected(4, 6))
      })
    }
  })

  function movement(saves: readonly number[][], t: number): number[] {
    return saves[t + 1]!.map((x, i) => x - saves[t]![i]!)
  }

  function cosine(a: readonly number[], b: readonly number[]): number {
    return dot(a, b) / (Math.hypot(...a) * Math.hypot(...b))
  }

  function close(value: unknown, expected: number): void {
    if (Number.isNaN(expected)) expect(value).to.be.NaN
    else expect(value).to.be.closeTo(expected, 1e-12)
  }

  it('sums units along the output axis', async () => {
    const linear: Formula = { value: (t) => dot(t, [1, 2, 3, 4, 5, 6]), gradient: () => [1, 2, 3, 4, 5, 6] }
    const moved = [1, 1, 1, 1, 1, -1]
    const units = async (axis: number): Promise<unknown[]> => {
      const { sink } = await run(linear, [[0, 0, 0, 0, 0, 0], moved], {}, [
        tensor('w', [2, 3], 'weight', axis),
      ])
      return sink.rows.units.map((row) => [row.unit, row.lca, row.helping, row.hurting, row.first_order])
    }
    expect(await units(0)).to.deep.equal([
      [0, 6, 0, 3, 6],
      [1, 3, 1, 2, 3],
    ])
    expect(await units(1)).to.deep.equal([
      [0, 5, 0, 2, 5],
      [1, 7, 0, 2, 7],
      [2, -3, 1, 1, -3],
    ])
  })

  it('totals agree with what the intervals say, in blocks of 32', async () => {
    const saves = walk(71)
    // units of one-dimensional tensors are their elements, in float64
    const { sink } = await run(QUADRATIC, saves, {}, [tensor('a', [4], 'bias'), tensor('b', [2], 'bias')])
    const perInterval = saves
      .slice(1)
      .map((_, t) => sink.rows.units.filter((row) => row.interval === t).map((row) => row.lca as number))
    expect(sink.blocks).to.deep.equal([32, 64, 70])
    sink.rows.totals.forEach((row, i) => {
      const lca = perInterval.map((values) => values[i]!)
      const steps = saves.slice(1).map((values, t) => values[i]! - saves[t]![i]!)
      const gradients = saves.slice(0, -1).map((theta) => QUADRATIC.gradient(theta)[i]!)
      const flips = (values: number[]): number =>
        values.filter((v, t) => t > 0 && v * values[t - 1]! < 0).length
      const undone = lca.reduce(
        (sum, a, t) =>
          sum + (t > 0 && a * lca[t - 1]! < 0 ? Math.min(Math.abs(a), Math.abs(lca[t - 1]!)) : 0),
        0,
      )
      expect(row.lca).to.equal(inBlocks(lca))
      expect(row.path_length).to.equal(inBlocks(steps.map(Math.abs)))
      expect(row.movement).to.equal(inBlocks(steps))
      expect(row.undone).to.be.closeTo(undone, 1e-12)
      expect(row).to.include({
        helped: lca.filter((a) => a < 0).length,
        hurt: lca.filter((a) => a > 0).length,
        lca_flips: flips(lca),
        movement_flips: flips(steps),
        gradient_flips: flips(gradients),
      })
      expect(row.fisher).to.be.NaN
    })
  })

  it('gives each parameter a row of totals, with its place and its unit', async () => {
    const { sink } = await run(QUADRATIC, walk(2))
    expect(sink.rows.totals.map((row) => [row.tensor, row.index, row.unit])).to.deep.equal([
      ['a.weight', 0, 0],
      ['a.weight', 1, 0],
      ['a.weight', 2, 1],
      ['a.weight', 3, 1],
      ['a.bias', 0, 0],
      ['a.bias', 1, 1],
    ])
  })

  function inBlocks(values: readonly number[]): number {
    let total = 0
    for (let start = 0; start < values.length; start += 32)
      total += values.slice(start, start + 32).reduce((sum, value) => sum + value, 0)
    return total
  }

  it('goes on where it was interrupted, without what is finished, and gives the same rows', async () => {
    const saves = walk(5)
    const whole = await run(QUADRATIC, saves)
    const folder = mkdtempSync(join(tmpdir(), 'retrograd-'))
    const sink = new MemorySink()
    const points: number[][] = []
    let interruptions = -1
    for (let more = true; more; interruptions += 1) {
      const controller = new AbortController()
      const engine = new FormulaEngine(QUADRATIC, (count) => {
        if (count === 4) controller.abort()
      })
      const options = { signal: controller.signal }
      const outcome = await replayFormula({ engine, tensors: TENSORS, saves, options, folder }, sink)
      more = outcome.interrupted
      points.push(...engine.points)
    }
    rmSync(folder, { recursive: true })
    expect(sink.rows).to.deep.equal(whole.sink.rows)
    expect(interruptions).to.be.above(2)
    expect(points.length, 'no more than the points of one interval are lost each time').to.be.at.most(
      whole.engine.points.length + 2 * interruptions,
    )
  })

  it('estimates the noise floor when it goes on, where that is all that a killed process had not finished', async () => {
    const saves = walk(5)
    const whole = await run(QUADRATIC, saves)
    const folder = mkdtempSync(join(tmpdir(), 'retrograd-'))
    const controller = new AbortController()
    const engine = new FormulaEngine(QUADRATIC, (count) => {
      if (count === 6) controller.abort()
    })
    const options = { signal: controller.signal }
    await replayFormula({ engine, tensors: TENSORS, saves, options, folder }, new MemorySink())
    const journal = readFileSync(join(folder, 'journal'), 'utf8')
    expect(journal)
      .to.match(/"noise"/)
      .and.to.match(/"interval":0/)
    const withoutNoise = journal.split('\n').filter((line) => !line.includes('"noise"'))
    writeFileSync(join(folder, 'journal'), withoutNoise.join('\n'))
    const sink = new MemorySink()
    const again = { engine: new FormulaEngine(QUADRATIC), tensors: TENSORS, saves, folder }
    expect(await replayFormula(again, sink)).to.deep.equal(whole.outcome)
    expect(sink.rows).to.deep.equal(whole.sink.rows)
    rmSync(folder, { recursive: true })
  })

  it('names the interval and the split where the loss overflows', async () => {
    const overflowing: Formula = { value: ([x]) => (x! > 1 ? Infinity : x!), gradient: () => [1] }
    await rejected(
      run(overflowing, [[0], [1], [2]], {}, [tensor('x', [1])]),
      /at step 20: the loss on train is Infinity/,
    )
  })

  it('names the tensor whose gradient is not finite', async () => {
    const infinite: Formula = { value: ([x]) => x!, gradient: ([x]) => [x === 0 ? Infinity : 1] }
    await rejected(
      run(infinite, [[0], [1]], {}, [tensor('x', [1])]),
      /gradient of the loss on train with respect to x is not finite/,
    )
  })

  it('names the checkpoint and the tensor that hold NaN', async () => {
    await rejected(run(QUADRATIC, [...walk(2), [1, 2, NaN, 4, 5, 6]]), /a\.weight.*NaN/)
  })

  async function rejected(promise: Promise<unknown>, message: RegExp): Promise<void> {
    const error = await rejection(promise)
    expect(error).to.be.instanceOf(CheckpointError)
    expect(error.message).to.match(message)
  }
})
