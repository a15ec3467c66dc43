import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'

import { inspectTrajectory, type Inspection } from '../../src/trajectory/inspect/inspect.js'
import type { Problem } from '../../src/trajectory/inspect/problem.js'
import { useTempFolder } from '../io/temp-folder.js'
import { Random } from '../support/random.js'
import { safetensorsFile, vectors } from './write-checkpoints.js'

const SIZE = 24

/** A run whose weights go one way with some noise, as an optimizer's do: [step][element]. */
function walk(steps: number, seed: number): number[][] {
  const random = new Random(String(seed))
  const next = (): number => random.next()
  const direction = Array.from({ length: SIZE }, () => next() - 0.5)
  const path = [Array.from({ length: SIZE }, () => next() + 1)]
  for (let step = 1; step < steps; step += 1)
    path.push(path.at(-1)!.map((value, i) => value + 0.05 * (direction[i]! + 0.5 * (next() - 0.5))))
  return path
}

describe('inspecting a trajectory', () => {
  const file = useTempFolder()
  let runs = 0

  /** Writes a checkpoint of `weight` and `bias` per step and inspects the folder. */
  async function inspect(
    weights: readonly (readonly number[])[],
    options: { steps?: readonly number[]; values?: boolean; spoil?: (folder: string) => void } = {},
  ): Promise<Inspection> {
    const folder = file(`run-${(runs += 1)}`)
    mkdirSync(folder)
    for (const [i, weight] of weights.entries()) {
      const step = options.steps?.[i] ?? i * 10
      const tensors = { weight, bias: weight.slice(0, 3).map((value) => value * 2) }
      writeFileSync(join(folder, `step-${step}.safetensors`), vectors(tensors))
    }
    options.spoil?.(folder)
    const inspection = await inspectTrajectory(
      folder,
      options.values === undefined ? {} : { values: options.values },
    )
    return inspection
  }

  async function problems(...args: Parameters<typeof inspect>): Promise<readonly Problem[]> {
    return (await inspect(...args)).problems
  }

  it('finds nothing wrong with a run that only moves', async () => {
    for (const seed of [1, 2, 3, 4, 5])
      expect(await problems(walk(12, seed)), `seed ${seed}`).to.deep.equal([])
  })

  it('says how far checkpoints are apart, what they hold, and how it moved', async () => {
    const path = walk(5, 1)
    const { spacing, tensors, bytes, trajectory } = await inspect(path)
    expect(spacing).to.deep.equal({ smallest: 10, largest: 10, regular: 10 })
    expect(bytes).to.equal(trajectory.checkpoints.reduce((sum, one) => sum + one.bytes, 0))
    const weight = tensors.find(({ name }) => name === 'weight')!
    expect(weight).to.deep.include({ shape: [SIZE], size: SIZE, dtype: 'float32', isWeight: true })
    const stored = path.map((values) => values.map(Math.fround))
    expect(weight.normFirst).to.be.closeTo(Math.hypot(...stored[0]!), 1e-12)
    const update = Math.hypot(...stored[3]!.map((value, i) => value - stored[2]![i]!))
    expect(weight.updates![3]).to.be.closeTo(update, 1e-12)
  })

  it('finds steps that a regular spacing promises, and none where the spacing grows on purpose', async () => {
    const found = await problems(walk(8, 1), { steps: [0, 10, 20, 30, 60, 70, 80, 90] })
    expect(found.map(({ kind, steps }) => ({ kind, steps }))).to.deep.equal([
      { kind: 'missing-steps', steps: [40, 50] },
    ])
    expect(found[0]!.message).to.match(
      /^steps 40 and 50 are missing: checkpoints are 10 steps apart elsewhere/,
    )
    const pythia = [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000, 2000, 3000, 4000]
    expect(await problems(walk(pythia.length, 1), { steps: pythia, values: false })).to.deep.equal([])
  })

  it('finds a checkpoint equal to the one before, by its file and by its numbers', async () => {
    const path = walk(10, 1)
    path[4] = path[3]!
    for (const [values, said] of [
      [false, 'is the same file'],
      [true, 'holds the same numbers'],
    ] as const) {
      const [found, ...others] = await problems(path, { values })
      expect(others).to.deep.equal([])
      expect(found!.kind).to.equal('zero-update')
      expect(found!.message).to.match(new RegExp(`^step 40: the checkpoint ${said}.* as the one before`))
    }
  })

  it('finds a checkpoint that was copied over another', async () => {
    const path = walk(12, 1)
    path[9] = path[3]!
    const kinds = (await problems(path, { values: false })).map(({ kind, steps }) => ({ kind, steps }))
    expect(kinds).to.deep.equal([{ kind: 'duplicate', steps: [30, 90] }])
  })

  it('finds two neighbours that were swapped, and two far apart', async () => {
    for (const seed of [1, 2, 3]) {
      const near = walk(14, seed)
      ;[near[6], near[7]] = [near[7]!, near[6]!]
      const found = (await problems(near)).filter(({ kind }) => kind === 'out-of-place')
      expect(
        found.map(({ steps }) => steps),
        `seed ${seed}`,
      ).to.deep.equal([[60, 70]])
      const far = walk(14, seed)
      ;[far[3], far[10]] = [far[10]!, far[3]!]
      const places = (await problems(far)).filter(({ kind }) => kind === 'out-of-place')
      expect(
        places.map(({ steps }) => steps),
        `seed ${seed}`,
      ).to.deep.equal([[30], [100]])
    }
  })

  it('takes a run that swings from side to side for what it is', async () => {
    const swing = walk(14, 1).map((values, step) =>
      values.map((value) => value + (step % 2 === 0 ? 0.5 : -0.5)),
    )
    expect((await problems(swing)).filter(({ kind }) => kind === 'out-of-place')).to.deep.equal([])
  })

  it('finds a sudden jump of a norm', async () => {
    const path = walk(12, 1).map((values, step) => (step < 7 ? values : values.map((value) => 4 * value)))
    const found = (await problems(path)).filter(({ kind }) => kind === 'norm-jump')
    expect(found.map(({ tensor, steps }) => ({ tensor, steps }))).to.deep.equal([
      { tensor: 'weight', steps: [70] },
      { tensor: 'bias', steps: [70] },
    ])
    expect(found[1]!.message).to.match(
      /bias jumps at step 70: its norm goes from \S+ to \S+ in one interval, \d+ times its usual update/,
    )
  })

  it('finds a tensor that never moves', async () => {
    const path = walk(6, 1).map((values) => [1, 2, 3, ...values.slice(3)])
    const found = await problems(path)
    expect(found.map(({ kind, tensor }) => ({ kind, tensor }))).to.deep.equal([
      { kind: 'never-moves', tensor: 'bias' },
    ])
  })

  it('finds NaN and infinity, and the steps before', async () => {
    const path = walk(8, 1)
    path[5]![4] = NaN
    path[6]![4] = Infinity
    const [found, ...others] = (await problems(path)).filter(({ kind }) => kind === 'not-finite')
    expect(others).to.deep.equal([])
    expect(found!.steps).to.deep.equal([50, 60])
    expect(found!.message).to.match(
      /^weight holds NaN or infinity at steps 50 and 60 \(1 values in .*step-50.safetensors\).*`--steps 0:40`/,
    )
  })

  it('finds bfloat16 whose rounding is larger than the update, and not where the update is larger', async () => {
    const save = (folder: string, size: number): void => {
      for (let step = 0; step < 6; step += 1) {
        const values = Float32Array.from({ length: SIZE }, (_, i) => 1 + i / SIZE + step * size)
        const upper = new Uint16Array(values.buffer).filter((_, i) => i % 2 === 1)
        const header = { weight: { dtype: 'BF16', shape: [SIZE], data_offsets: [0, 2 * SIZE] } }
        writeFileSync(
          join(folder, `step-${step * 10}.safetensors`),
          safetensorsFile(header, new Uint8Array(upper.buffer)),
        )
      }
    }
    const fine = await problems([], {
      spoil: (folder) => {
        save(folder, 0.1)
      },
    })
    expect(fine).to.deep.equal([])
    const coarse = await problems([], {
      spoil: (folder) => {
        save(folder, 0.0008)
      },
    })
    const found = coarse.find(({ kind }) => kind === 'rounding')!
    expect(found.message).to.match(
      /^weight is stored as bfloat16, and rounding to it \(norm 0.0\d+\) is larger than the update/,
    )
  })

  it('lists what cannot be read, shapes that change and steps recorded twice, and looks at the rest', async () => {
    const inspection = await inspect(walk(6, 1), {
      spoil: (folder) => {
        writeFileSync(join(folder, 'step-20.safetensors'), vectors({ weight: [1] }).subarray(0, 60))
        writeFileSync(join(folder, 'step-40.safetensors'), vectors({ weight: [1, 2], bias: [1, 2, 3] }))
        writeFileSync(
          join(folder, 'again-step-50.safetensors'),
          vectors({ weight: walk(1, 9)[0]!, bias: [1, 2, 3] }),
        )
      },
    })
    const kinds = inspection.problems.map(({ kind }) => kind)
    expect(kinds).to.include.members(['unreadable', 'shapes', 'order'])
    const said = (kind: string): string => inspection.problems.find((one) => one.kind === kind)!.message
    expect(said('unreadable')).to.match(/step-20.safetensors: truncated|step-20.safetensors: corrupt/)
    expect(said('shapes')).to.match(/tensor weight is 2, but 24 in/)
    expect(said('order')).to.match(/both record step 50/)
  })
})
