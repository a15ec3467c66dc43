import { join } from 'node:path'
import { expect } from 'chai'

import { gptParameters } from '../../scripts/bench/gpt-graph.js'
import { GPT_2, writeLargeNetwork, type LargeNetwork } from '../../scripts/bench/large-network.js'
import { readModel } from '../../src/onnx/read.js'
import { openTrajectory } from '../../src/trajectory/open-trajectory.js'
import { elementCount } from '../../src/tensor.js'
import { newFolder, removeFolders, retrograd } from '../cli/command.js'

const SMALL: LargeNetwork = {
  vocabulary: 97,
  width: 32,
  layers: 2,
  heads: 4,
  context: 16,
  sequences: 12,
  checkpoints: 3,
  weights: 'beside',
}

describe('the large network of the measurements', () => {
  after(removeFolders)

  it('has the parameters of GPT-2, small, with 64 positions', () => {
    const counts = [...gptParameters(GPT_2).values()].map(elementCount)
    // the paper's network has 124,439,808 with 1,024 positions (Radford et al. 2019, the published weights)
    expect(counts.reduce((sum, count) => sum + count, 0)).to.equal(124_439_808 - (1024 - 64) * 768)
  })

  it('is replayed, and conserves, whether its weights lie inside of the model or beside it', async () => {
    const losses: unknown[] = []
    for (const weights of ['inside', 'beside'] as const) {
      const folder = newFolder()
      writeLargeNetwork(folder, { ...SMALL, weights })
      const { status, stdout } = await retrograd([
        ...['run', join(folder, 'checkpoints'), '--model', join(folder, 'model.onnx')],
        ...['--train', join(folder, 'data'), '--loss', 'cross-entropy', '--tolerance', '1e-5', '--json'],
        ...['--out', join(folder, 'out')],
      ])
      // exit status 0: every interval's sum is within the tolerance of the measured change
      expect(status).to.equal(0)
      losses.push((JSON.parse(stdout) as { splits: unknown }).splits)
    }
    expect(losses[0]).to.deep.equal(losses[1])
  })

  it('holds the numbers of the last checkpoint', async () => {
    const folder = newFolder()
    writeLargeNetwork(folder, SMALL)
    const model = await readModel(join(folder, 'model.onnx'))
    const { checkpoints } = await openTrajectory(join(folder, 'checkpoints'))
    for (const name of ['wte.weight', 'h.1.ln_2.weight', 'h.0.down.bias']) {
      const { data } = await checkpoints.at(-1)!.read(name)
      const bytes = new Uint8Array(model.initializers.get(name)!.read())
      expect(new Float32Array(bytes.buffer)).to.deep.equal(data)
    }
  })
})
