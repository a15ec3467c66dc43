import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { parseLoss } from '../../src/autodiff/losses.js'
import { BACKEND_VARIABLE } from '../../src/engines/tfjs/choose.js'
import { loadTfjs } from '../../src/engines/tfjs/load.js'
import { UsageError } from '../../src/errors.js'
import { encodeModel } from '../../src/onnx/write.js'
import { runReplay } from '../../src/replay/run.js'
import { verifyResults } from '../../src/verify/verify.js'
import { newFolder, removeFolders } from '../cli/command.js'
import { rejection } from '../support/rejection.js'
import { record } from '../tfjs/models.js'
import { TWINS } from '../tfjs/twins.js'

/** What two engines may differ by: of what moved in the interval. */
const OF_WHAT_MOVED = 1e-4

describe("verification of TensorFlow.js' results by ONNX Runtime", function () {
  this.timeout(120_000)
  before(() => {
    process.env[BACKEND_VARIABLE] = 'js'
  })
  after(() => {
    Reflect.deleteProperty(process.env, BACKEND_VARIABLE)
    removeFolders()
  })

  it('agrees on the same network as ONNX, which --model names', async () => {
    const { tf } = await loadTfjs('js')
    const { shape, classes, model: build, graph } = TWINS.dense
    const [folder, out] = [newFolder(), join(newFolder(), 'out')]
    const model = build(tf)
    const samples = { count: 40, shape, classes, seed: 'verify' }
    const { tfjs, data } = await record(tf, model, samples, { folder, steps: 3, rate: 0.5 })
    const onnx = join(folder, 'model.onnx')
    writeFileSync(onnx, encodeModel(graph(model)))
    model.dispose()
    await runReplay(
      {
        checkpoints: tfjs,
        engine: 'tfjs',
        splits: new Map([['train', data]]),
        loss: parseLoss('cross-entropy'),
        ...{ scale: 'auto', tolerance: 1e-3, maxSplits: 8, granularity: 'unit', batchNorm: 'running' },
        ...{ workers: 1, out, overwrite: false },
      },
      {},
    )
    const refusal = await rejection(verifyResults(out, { engine: 'onnxruntime' }))
    expect(refusal).to.be.instanceOf(UsageError)
    expect(refusal.message).to.match(/name the network in its form with --model/)
    const found = (await verifyResults(out, { engine: 'onnxruntime', model: onnx, workers: 1 }))!
    expect(found.verdict).to.equal('agrees')
    expect(found.computed).to.deep.equal({ engine: 'onnxruntime', device: 'cpu', sameAsResults: false })
    expect(found.notes.join()).to.match(/model\.onnx is another file/)
    expect(found.intervals).to.have.length(3)
    for (const { reproduced, splits } of found.intervals) {
      expect(reproduced)
        .to.be.above(0)
        .and.at.most(OF_WHAT_MOVED * splits[0]!.moved)
      expect(splits[0]!.units!.correlation).to.be.above(0.999)
    }
  })
})
