import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'

import { parseLoss } from '../../src/autodiff/losses.js'
import { CheckpointError, CheckpointFormatError } from '../../src/errors.js'
import type { RunOptions } from '../../src/replay/options.js'
import { runReplay } from '../../src/replay/run.js'
import { openResults } from '../../src/tables/read.js'
import type { WeightKind } from '../../src/trajectory/formats/format.js'
import { openTrajectory } from '../../src/trajectory/open-trajectory.js'
import { newFolder, removeFolders } from '../cli/command.js'
import { rejection } from '../support/rejection.js'

const FOLDER = 'fixtures/formats'

/** An archive that a real library wrote (scripts/make-fixtures/formats). */
interface Archive {
  readonly id: string
  readonly path: string
  readonly writer: string
  readonly unit: string
  readonly steps: readonly number[]
  readonly model: string
  readonly values: 'exact' | 'narrowed'
  readonly ema?: { readonly expected: string }
}

interface Refused {
  readonly id: string
  readonly path: string
  readonly reason: string
  readonly message?: string
}

/** What PyTorch computes in float64: LCA of every tensor in every interval, by one panel of Simpson's rule. */
interface Truth {
  readonly tensors: Readonly<Record<string, readonly number[]>>
  readonly intervals: readonly { readonly lca: Readonly<Record<string, number>> }[]
}

type Narrowed = Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, Numbers>>>>>>
interface Numbers {
  readonly shape: readonly number[]
  readonly values: readonly number[]
}

const { formats, refused, models } = read('formats.json') as {
  formats: Archive[]
  refused: Refused[]
  models: { id: string; path: string; data: string }[]
}
const narrowed = read('narrowed.json') as Narrowed

function read(name: string): unknown {
  return JSON.parse(readFileSync(join(FOLDER, name), 'utf8'))
}

/** How frameworks call what PyTorch's state_dict calls weight, bias and so on. */
const LEAVES: Readonly<Record<string, string>> = {
  kernel: 'weight',
  gamma: 'weight',
  scale: 'weight',
  beta: 'bias',
  moving_mean: 'running_mean',
  mean: 'running_mean',
  moving_variance: 'running_var',
  var: 'running_var',
}

/** The state_dict's name of a tensor, from whatever the framework's writer made of it. */
function canonical(name: string): string {
  const parts = name.replace(/:0$/, '').split(/[./]/)
  const layer = parts.findLast((part) => /^(?:conv1|conv2|bn|fc1|fc2)$/.test(part))
  const leaf = parts.at(-1)!.replace(/^_/, '')
  return layer === undefined ? name : `${layer}.${LEAVES[leaf] ?? leaf}`
}

async function lcaOf(archive: Archive, weights: WeightKind): Promise<Record<string, number>[]> {
  const model = models.find(({ path }) => path === archive.model)!
  const out = join(newFolder(), 'out')
  const options: RunOptions = {
    checkpoints: join(FOLDER, archive.path),
    model: join(FOLDER, model.path),
    splits: new Map([['train', join(FOLDER, model.data)]]),
    loss: parseLoss('cross-entropy'),
    scale: 'none',
    tolerance: 1,
    maxSplits: 2,
    granularity: 'tensor',
    batchNorm: 'running',
    weights,
    out,
    overwrite: false,
  }
  await runReplay(options, {})
  const results = await openResults(out)
  const names = new Map(results.manifest.tensors.map((one) => [one.tensor, one.checkpoint_name]))
  const { columns } = await results.readTable('tensors')
  const intervals: Record<string, number>[] = []
  for (const [row, interval] of columns.interval.entries()) {
    const name = canonical(names.get(columns.tensor[row]!)!)
    ;(intervals[interval] ??= {})[name] = columns.lca[row]!
  }
  return intervals
}

/** An archive may begin with a later checkpoint of the trajectory. */
function expectLca({ steps }: Archive, found: readonly Record<string, number>[], truth: Truth): void {
  const intervals = truth.intervals.slice(truth.intervals.length + 1 - steps.length)
  expect(found).to.have.length(intervals.length)
  for (const [interval, { lca }] of intervals.entries()) {
    expect(found[interval]).to.have.all.keys(Object.keys(lca))
    for (const [tensor, value] of Object.entries(lca))
      expect(found[interval]![tensor], `${tensor}, interval ${interval}`).to.be.closeTo(value, 1e-6)
  }
}

describe('one trajectory in every format', () => {
  after(removeFolders)

  for (const archive of formats) {
    it(`${archive.id} (${archive.writer}) tells its steps`, async () => {
      const trajectory = await openTrajectory(join(FOLDER, archive.path))
      const { stepUnit, checkpoints } = trajectory
      expect({ unit: stepUnit, steps: checkpoints.map(({ step }) => step) }).to.deep.equal({
        unit: archive.unit,
        steps: archive.steps,
      })
    })

    if (archive.values === 'exact') {
      it(`${archive.id} gives PyTorch's LCA`, async () => {
        expectLca(archive, await lcaOf(archive, 'raw'), read('expected.json') as Truth)
      })
    } else {
      it(`${archive.id} gives the numbers that its library reads`, async () => {
        const trajectory = await openTrajectory(join(FOLDER, archive.path))
        for (const checkpoint of trajectory.checkpoints)
          for (const [tensor, { shape, values }] of Object.entries(narrowed[archive.id]![checkpoint.step]!)) {
            const found = await checkpoint.read(tensor)
            expect(found.shape, tensor).to.deep.equal(shape)
            expect([...found.data], tensor).to.deep.equal(values)
          }
      })
    }

    if (archive.ema !== undefined) {
      const { expected } = archive.ema
      it(`${archive.id} gives the LCA of its averaged weights when they are asked for`, async () => {
        expectLca(archive, await lcaOf(archive, 'ema'), read(expected) as Truth)
      })
    }
  }

  for (const { id, path, reason } of refused)
    it(`${id} is refused with what to do: ${reason}`, async () => {
      const error = await rejection(openTrajectory(join(FOLDER, path)))
      expect(error).to.satisfy(
        (one: Error) => one instanceof CheckpointFormatError || one instanceof CheckpointError,
      )
      expect(error.message).to.contain(join(FOLDER, path))
    })
})
