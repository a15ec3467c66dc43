import { join } from 'node:path'
import { expect } from 'chai'
import { openArrayFile } from '../../src/data/array-files.js'
import { openResults } from '../../src/tables/read.js'
import { readNpz } from '../support/npz.js'
import { writeNpyFolder } from '../support/npy.js'
import { describeWithWebGpu, vulkanEnvironment } from '../support/webgpu.js'
import { newFolder, removeFolders, retrograd, runArguments } from './command.js'

const DATA = 'fixtures/mnist-lenet/val.npz'
/** As few as give a remainder. */
const SAMPLES = 4

/** The first samples of the demo's data, as a folder of arrays. */
async function fewSamples(): Promise<string> {
  const { arrays } = await openArrayFile(DATA)
  const read = await readNpz(DATA)
  const [images, labels] = ['images', 'labels'].map((name) => arrays.find((one) => one.name === name)!)
  if (!('shape' in images!) || !('shape' in labels!)) throw new Error(`${DATA} has other arrays`)
  const [, ...sample] = images.shape
  const width = sample.reduce((all, size) => all * size, 1)
  const pixels = Uint8Array.from((await read('images')).subarray(0, SAMPLES * width))
  const classes = BigInt64Array.from((await read('labels')).subarray(0, SAMPLES), BigInt)
  return writeNpyFolder(join(newFolder(), 'data'), {
    images: { type: '|u1', shape: [SAMPLES, ...sample], values: pixels },
    labels: { type: '<i8', shape: [SAMPLES], values: classes },
  })
}

describeWithWebGpu('retrograd run --device webgpu', () => {
  after(removeFolders)

  it('replays the recorded run as the CPU does, no node on the CPU, micro-batches with a remainder', async () => {
    const train = await fewSamples()
    const steps = []
    for (const device of ['webgpu', 'cpu']) {
      const out = join(newFolder(), 'out')
      const changes = { train, out, device, steps: '0:2', 'batch-size': '3', 'max-splits': '2' }
      const strict = device === 'webgpu' ? ['--strict-device'] : []
      const { status, stderr } = await retrograd([...runArguments(changes), ...strict], {
        env: vulkanEnvironment() ?? {},
      })
      expect(status, stderr).to.equal(0)
      steps.push((await (await openResults(out)).readTable('steps')).columns)
    }
    const [onDevice, onCpu] = steps as [(typeof steps)[0], (typeof steps)[0]]
    for (let row = 0; row < 2; row += 1) {
      expect(onDevice.loss_to[row]).to.be.closeTo(onCpu.loss_to[row]!, 1e-5)
      const scale = Math.abs(onCpu.lca[row]!)
      expect(onDevice.lca[row]).to.be.closeTo(onCpu.lca[row]!, 1e-4 * scale)
      // what float32 leaves of sums over four samples
      expect(Math.abs(onDevice.residual[row]! - onCpu.residual[row]!)).to.be.below(1e-6)
    }
  })
})
