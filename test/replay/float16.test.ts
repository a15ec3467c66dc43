import { expect } from 'chai'
import { differentiate } from '../../src/autodiff/differentiate.js'
import { createEngine } from '../../src/engines/create.js'
import type { Precision } from '../../src/engines/devices/names.js'
import { readModel } from '../../src/onnx/read.js'
import { Buffers } from '../../src/replay/allocation.js'
import { prepare } from '../../src/replay/prepare.js'
import { SIMPSON } from '../../src/replay/quadrature/simpson.js'
import { recompute } from '../../src/replay/recompute.js'
import { Layout } from '../../src/replay/store/layout.js'
import { ReplayStore } from '../../src/replay/store/store.js'
import { LocalEvaluator } from '../../src/replay/workers/local.js'
import { newFolder, removeFolders } from '../cli/command.js'
import { roundedHalf } from '../support/rounded-half.js'

const RUN = 'fixtures/mnist-lenet'
const INTERVALS = [0, 1]
/** So few that rounding is not averaged away, and so many parts that little of the residual is the integral's. */
const [SAMPLES, PARTS] = [48, 64]
/** A number in float16 is off by half of this at most, relative to itself. */
const EPSILON = 2 ** -10

/** Residuals and losses as `steps` has them, in eight parts, with the network's values in a precision. */
async function stepsIn(precision: Precision) {
  const loss = { kind: 'cross-entropy' } as const
  const prepared = await prepare(
    {
      ...{
        checkpoints: `${RUN}/checkpoints`,
        model: `${RUN}/model.onnx`,
        loss,
        scale: 'auto',
        device: 'cpu',
      },
      splits: new Map([['train', `${RUN}/val.npz`]]),
      steps: { from: 0, to: INTERVALS.length, stride: 1 },
      ...{ tolerance: 1e-3, maxSplits: 8, granularity: 'tensor', batchNorm: 'running' },
      ...{ out: '', overwrite: false },
    },
    {},
  )
  const { trajectory, network, data } = prepared
  const { tensors } = network
  const parameters = tensors.map(({ name }) => name)
  // the command line refuses float16 on the CPU, whose provider rounds next to nothing
  const gradient = differentiate(await readModel(`${RUN}/model.onnx`), { parameters, loss, precision })
  const graph = precision === 'float16' ? roundedHalf(gradient.graph) : gradient.graph
  const store = new ReplayStore(newFolder())
  const facts = { tensors, allocated: tensors.length, weightElements: 'float32' as const }
  const [[name, set]] = data as unknown as [[string, typeof data extends Map<string, infer S> ? S : never]]
  const evaluator = new LocalEvaluator(
    await createEngine({ ...gradient, graph }, { threads: 1 }),
    store,
    facts,
    [{ data: { ...set, samples: SAMPLES } }],
  )
  const steps: { residual: number; change: number; loss: number }[] = []
  try {
    const arrays = {
      store,
      buffers: new Buffers(),
      layout: new Layout(tensors),
      weightElements: 'float32',
    } as const
    const splits = [{ name, samples: SAMPLES }]
    await recompute(
      { trajectory, tensors, arrays, evaluator, splits, lossOf: 'sample' },
      {
        tasks: INTERVALS.map((interval) => ({ interval, rule: SIMPSON, tolerance: 1e-9, maxSplits: PARTS })),
        ...{ batchSize: SAMPLES, mayHalve: true, granularity: 'tensor', noiseFloor: 0, window: 1 },
        onInterval: ({ tables }) => {
          const [row] = tables.steps!
          steps.push({
            residual: Number(row!.residual),
            change: Number(row!.loss_change),
            loss: Number(row!.loss_from),
          })
          return Promise.resolve()
        },
        onEvaluated: () => undefined,
      },
    )
  } finally {
    await evaluator.close()
  }
  return steps
}

describe('residuals of a network in float16', function () {
  this.timeout(60_000)
  after(removeFolders)

  it('are larger than in float32, which the tables show, and far below what one rounding of the loss is', async () => {
    const [wide, half] = [await stepsIn('float32'), await stepsIn('float16')]
    const sum = (steps: typeof wide): number =>
      steps.reduce((total, { residual }) => total + Math.abs(residual), 0)
    expect(sum(half)).to.be.above(2 * sum(wide))
    half.forEach(({ residual, change, loss }, i) => {
      expect(Math.abs(residual)).to.be.below((EPSILON / 16) * loss)
      expect(loss).to.be.closeTo(wide[i]!.loss, (EPSILON / 16) * loss)
      expect(change).not.to.equal(wide[i]!.change)
    })
  })
})
