import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { expect } from 'chai'
import { readDataOptions } from '../../src/cli/data-options.js'
import { openArrayFile } from '../../src/data/array-files.js'
import { UsageError } from '../../src/errors.js'
import { readModel } from '../../src/onnx/read.js'
import { openResults } from '../../src/tables/read.js'
import { newFolder, removeFolders, retrograd, runArguments } from './command.js'

const VAL = 'fixtures/mnist-lenet/val.npz'

/** The demo's digits in MNIST's own format. */
async function idxFiles(): Promise<string> {
  const folder = newFolder()
  const file = await openArrayFile(VAL)
  for (const array of file.arrays) {
    if (!('dtype' in array)) continue
    const shape = array.name === 'images' ? [300, 28, 28] : [300]
    const head = Buffer.alloc(4 + 4 * shape.length)
    head.set([0, 0, 8, shape.length])
    shape.forEach((size, axis) => head.writeUInt32BE(size, 4 + 4 * axis))
    const parts: Uint8Array[] = [head]
    for await (const block of array.blocks()) parts.push(block as Uint8Array)
    writeFileSync(
      join(folder, `train-${array.name}-idx${shape.length}-ubyte.gz`),
      gzipSync(Buffer.concat(parts)),
    )
  }
  return folder
}

interface Ran {
  readonly losses: readonly number[]
  readonly options: Record<string, unknown>
  readonly notes: string
}

async function run(changes: Record<string, string>): Promise<Ran> {
  const out = join(newFolder(), 'out')
  const { status, stderr } = await retrograd(runArguments({ out, steps: '0:1', ...changes }))
  expect(status, stderr).to.equal(0)
  const { columns } = await (await openResults(out)).readTable('steps')
  const manifest = JSON.parse(readFileSync(join(out, 'manifest.json'), 'utf8')) as Pick<Ran, 'options'>
  return { losses: [columns.loss_from[0]!, columns.loss_to[0]!], options: manifest.options, notes: stderr }
}

describe('data of retrograd run', () => {
  after(removeFolders)

  it("in MNIST's format give the losses of the .npz of the same digits", async () => {
    const plain = await run({})
    const idx = await run({ train: await idxFiles() })
    expect(idx.losses).to.deep.equal(plain.losses)
  })

  it('are normalized as --transform says, which the manifest keeps', async () => {
    const plain = await run({ scale: 'none' })
    const divided = await run({ scale: 'none', transform: '0,255' })
    const scaled = await run({ scale: '255' })
    expect(divided.losses).to.deep.equal(scaled.losses)
    expect(divided.losses).to.not.deep.equal(plain.losses)
    expect(divided.options.transform).to.deep.equal({ mean: [0], std: [255] })
    expect(divided.notes).to.contain('normalized: less 0, divided by 255')
  })

  it('are given to an input by name', async () => {
    const { inputs } = await readModel('fixtures/mnist-lenet/model.onnx')
    const name = inputs[0]!.name
    const { options } = await run({ input: `${name}=images` })
    expect(options.inputs).to.deep.equal({ [name]: 'images' })
  })
})

describe('options of data', () => {
  const read = (options: Partial<Parameters<typeof readDataOptions>[0]>): unknown =>
    readDataOptions({ input: [], scale: 'auto', ...options })

  it('--transform is two numbers, or a list for each', () => {
    expect(read({ transform: '0.1307,0.3081' })).to.deep.include({
      transform: { mean: [0.1307], std: [0.3081] },
    })
    expect(read({ transform: '[.49, .48, -.1], [0.25,.24,1e-1]' })).to.deep.include({
      transform: { mean: [0.49, 0.48, -0.1], std: [0.25, 0.24, 0.1] },
    })
  })

  it('--input names an array, or one for each input', () => {
    expect(read({ input: ['pixels'] })).to.deep.equal({ scale: 'auto', input: 'pixels' })
    expect(read({ input: ['a=left', 'b=right/x'] })).to.deep.equal({
      scale: 'auto',
      inputs: { a: 'left', b: 'right/x' },
    })
  })

  const BAD: readonly (readonly [Partial<Parameters<typeof readDataOptions>[0]>, RegExp])[] = [
    [{ transform: '0.5' }, /--transform 0\.5: mean and standard deviation are needed, as 0\.1307,0\.3081/],
    [{ transform: 'a,b' }, /mean and standard deviation are needed/],
    [{ transform: '[],[]' }, /mean and standard deviation are needed/],
    [{ transform: '1,2,3' }, /mean and standard deviation are needed/],
    [{ transform: '1e999,1' }, /mean and standard deviation are needed/],
    [{ transform: '0,0' }, /a standard deviation of 0; it must be above 0/],
    [{ transform: '[1,2],[1,2,3]' }, /2 means, but 3 standard deviations/],
    [{ context: 0 }, /--context 0: a whole number from 1 on is needed/],
    [{ context: 1.5 }, /--context 1\.5: a whole number/],
    [{ context: NaN }, /a whole number/],
    [{ input: ['a', 'b'] }, /--input b: there is one already/],
    [{ input: ['a=x', 'a=y'] }, /--input a=y: there is one for a already/],
  ]
  for (const [options, message] of BAD) {
    it(`${JSON.stringify(options)} is refused`, () => {
      expect(() => read(options)).to.throw(UsageError, message)
    })
  }
})
