import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { parseLoss } from '../../src/autodiff/losses.js'
import { loadTfjs } from '../../src/engines/tfjs/load.js'
import { encodeModel } from '../../src/onnx/write.js'
import { runReplay } from '../../src/replay/run.js'
import { verifyResults } from '../../src/verify/verify.js'
import { newFolder, removeFolders } from '../cli/command.js'
import { describeWithWebgpu, withVulkanDriver } from '../engines/devices/swiftshader.js'
import { record } from '../tfjs/models.js'
import { TWINS } from '../tfjs/twins.js'

describeWithWebgpu("verification of the CPU's results on WebGPU", function () {
  this.timeout(120_000)
  after(removeFolders)

  it('agrees, and tells what the device rounds otherwise', async () => {
    const { tf } = await loadTfjs('js')
    const { shape, classes, model: build, graph } = TWINS.dense
    const [folder, out] = [newFolder(), join(newFolder(), 'out')]
    const model = build(tf)
    const samples = { count: 16, shape, classes, seed: 'verify' }
    const { safetensors, data } = await record(tf, model, samples, { folder, steps: 1, rate: 0.5 })
    const onnx = join(folder, 'model.onnx')
    writeFileSync(onnx, encodeModel(graph(model)))
    model.dispose()
    await runReplay(
      {
        checkpoints: safetensors,
        model: onnx,
        splits: new Map([['train', data]]),
        loss: parseLoss('cross-entropy'),
        ...{ scale: 'auto', tolerance: 1e-3, maxSplits: 8, granularity: 'unit', batchNorm: 'running' },
        ...{ device: 'cpu', workers: 1, out, overwrite: false },
      },
      {},
    )
    const found = (await withVulkanDriver(() => verifyResults(out, { device: 'webgpu', maxSplits: 8 })))!
    expect(found.computed).to.deep.equal({ engine: 'onnxruntime', device: 'webgpu', sameAsResults: false })
    expect(found.verdict).to.equal('agrees')
    const [interval] = found.intervals
    const [split] = interval!.splits
    expect(interval!.reproduced).to.be.at.most(1e-4 * split!.moved)
    expect(split!.lossFrom.recomputed).to.be.closeTo(split!.lossFrom.stored, 1e-5)
    expect(split!.lossTo.recomputed).to.be.closeTo(split!.lossTo.stored, 1e-5)
  })
})
