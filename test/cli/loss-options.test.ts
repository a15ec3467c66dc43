import { join } from 'node:path'
import { writeFileSync } from 'node:fs'
import { expect } from 'chai'
import { openData } from '../../src/data/open-data.js'
import { encodeModel } from '../../src/onnx/write.js'
import { openResults } from '../../src/tables/read.js'
import { graphOf, input, node, tensor } from '../support/graphs.js'
import { writeNpyFolder } from '../support/npy.js'
import type { NpyArray } from '../support/npy.js'
import { newFolder, removeFolders, retrograd, runArguments } from './command.js'

const CLASSES = 10

/** The images and labels of the demo as files of their own, with the target as a test wants it. */
async function dataWith(target: (labels: readonly number[]) => NpyArray): Promise<string> {
  const { inputs, target: labels } = await openData(
    'fixtures/mnist-lenet/val.npz',
    {
      inputs: [{ name: 'x', dtype: 'float32', dims: ['N', 1, 28, 28] }],
      target: { kind: 'labels', positions: [] },
    },
    { scale: 'auto' },
  )
  const x = inputs.get('x')!
  const y = Array.from(labels!.data, Number)
  const images: NpyArray = { type: '<f4', shape: [y.length, 1, 28, 28], values: x.data as Float32Array }
  return writeNpyFolder(join(newFolder(), 'data'), { x: images, y: target(y) })
}

/** Losses at both ends of the demo's first interval. */
async function losses(changes: Record<string, string>, ...flags: string[]): Promise<[number, number]> {
  const out = join(newFolder(), 'out')
  const { status, stderr } = await retrograd([...runArguments({ out, steps: '0:1', ...changes }), ...flags])
  expect(status, stderr).to.equal(0)
  const { columns } = await (await openResults(out)).readTable('steps')
  return [columns.loss_from[0]!, columns.loss_to[0]!]
}

const oneHot = (labels: readonly number[]): NpyArray => ({
  type: '<f4',
  shape: [labels.length, CLASSES],
  values: Float32Array.from(
    labels.flatMap((label) => Array.from({ length: CLASSES }, (_, i) => Number(i === label))),
  ),
})

function closeTo(got: readonly number[], want: readonly number[]): void {
  want.forEach((value, i) => expect(got[i]).to.be.closeTo(value, 1e-6))
}

describe('losses of retrograd run', () => {
  after(removeFolders)
  let plain: [number, number]
  before(async () => {
    plain = await losses({})
  })

  it('take one-hot rows as probabilities', async () => {
    closeTo(await losses({ train: await dataWith(oneHot) }, '--soft-labels'), plain)
  })

  it('leave samples out whose label is ignored', async () => {
    const int64 = (values: readonly number[]): NpyArray => ({
      type: '<i8',
      shape: [values.length],
      values: BigInt64Array.from(values, BigInt),
    })
    const without3 = await losses({ 'ignore-index': '3' })
    const marked = (labels: readonly number[]): NpyArray => int64(labels.map((y) => (y === 3 ? -100 : y)))
    closeTo(await losses({ train: await dataWith(marked) }), without3)
    expect(Math.abs(without3[1] - plain[1])).to.be.above(1e-5)
    const weights = Array.from({ length: CLASSES }, (_, i) => (i === 3 ? 0 : 2)).join()
    closeTo(await losses({ 'class-weights': weights }), without3)
  })

  it('are written in the manifest with their choices', async () => {
    const out = join(newFolder(), 'out')
    await retrograd(runArguments({ out, steps: '0:1', 'label-smoothing': '0.25' }))
    const { manifest } = await openResults(out)
    expect(manifest.options).to.deep.include({
      loss: 'cross-entropy',
      loss_options: { labelSmoothing: 0.25 },
    })
  })

  it('may be an ONNX file: squared distance from one-hot rows is mse', async () => {
    const folder = newFolder()
    const graph = graphOf({
      inputs: [input('scores', ['N', CLASSES]), input('wanted', ['N', CLASSES])],
      initializers: { two: tensor('float32', [], [2]) },
      nodes: [node('Sub', ['scores', 'wanted'], 'd'), node('Pow', ['d', 'two'], 'square')],
      outputs: ['square'],
    })
    const loss = join(folder, 'loss.onnx')
    writeFileSync(loss, encodeModel(graph))
    const train = await dataWith(oneHot)
    closeTo(await losses({ train, loss }), await losses({ train, loss: 'mse' }))
  })

  it('refuse choices that are not theirs: exit 2', async () => {
    const out = join(newFolder(), 'out')
    const result = await retrograd(runArguments({ out, loss: 'mse', 'label-smoothing': '0.1' }))
    expect(result.status).to.equal(2)
    expect(result.stderr).to.match(/--label-smoothing belongs to cross-entropy; --loss mse does not have it/)
  })
})
