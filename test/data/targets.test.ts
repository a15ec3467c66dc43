import { expect } from 'chai'
import { openData } from '../../src/data/open-data.js'
import type { DataSet, TargetSpec } from '../../src/data/needs.js'
import { DataError } from '../../src/errors.js'
import { useTempFolder } from '../io/temp-folder.js'
import { writeNpyFolder } from '../support/npy.js'
import type { NpyArray } from '../support/npy.js'
import { rejection } from '../support/rejection.js'

const X: NpyArray = { type: '<f4', shape: [2, 3], values: new Float32Array(6) }

describe('targets', () => {
  const path = useTempFolder()
  let count = 0

  function open(y: NpyArray, target: TargetSpec): Promise<DataSet> {
    count += 1
    const folder = writeNpyFolder(path(`data${count}`), { x: X, y })
    return openData(
      folder,
      { inputs: [{ name: 'x', dtype: 'float32', dims: ['N', 3] }], target },
      { scale: 'auto' },
    )
  }

  const int64 = (shape: readonly number[], values: readonly number[]): NpyArray => ({
    type: '<i8',
    shape,
    values: BigInt64Array.from(values, BigInt),
  })
  const labels = { kind: 'labels', classes: 4, positions: ['T'], ignored: -100 } as const

  it('are labels with the one that is ignored among them', async () => {
    const { target } = await open(int64([2, 2], [0, -100, 3, 1]), labels)
    expect(target).to.deep.include({ dtype: 'int64', sampleShape: [2] })
    expect([...target!.data].map(Number)).to.deep.equal([0, -100, 3, 1])
  })

  it('are labels of which one that is a class is ignored', async () => {
    const { target } = await open(int64([2], [255, 3]), { ...labels, positions: [], ignored: 255 })
    expect([...target!.data].map(Number)).to.deep.equal([255, 3])
  })

  it('are refused where a label is neither a class nor ignored', async () => {
    const error = await rejection(open(int64([2, 2], [0, -100, -1, 1]), labels))
    expect(error).to.be.instanceOf(DataError)
    expect(error.message).to.match(
      /y holds label -1 at index \[1, 0\] of 2 x 2; labels are 0 to 3: the network has 4 classes; -100 is ignored/,
    )
    const whole = await rejection(
      open({ type: '<f4', shape: [2], values: Float32Array.of(0.5, 1) }, { ...labels, positions: [] }),
    )
    expect(whole.message).to.match(/label 0\.5 at index \[0\] of 2; labels are whole numbers from 0$/)
  })

  it('are refused where none of them counts', async () => {
    const ignored = await rejection(open(int64([2, 2], [-100, -100, -100, -100]), labels))
    expect(ignored).to.be.instanceOf(DataError)
    expect(ignored.message).to.match(/y: all labels are -100, which is ignored, so that there is no loss/)
    const weights = { ...labels, weights: [1, 0, 1, 1] }
    const weightless = await rejection(open(int64([2, 2], [-100, 1, 1, -100]), weights))
    expect(weightless.message).to.match(/y: no label counts/)
    expect((await open(int64([2, 2], [-100, 1, 2, 1]), weights)).samples).to.equal(2)
  })

  it('are refused in another shape, with what helps', async () => {
    const flat = await rejection(open(int64([2], [0, 1]), { ...labels, positions: [2] }))
    expect(flat.message).to.match(
      /if the classes are another axis of the network's output, say so with --class-axis/,
    )
    const rows: NpyArray = { type: '<f4', shape: [2, 4], values: new Float32Array(8) }
    const oneHot = await rejection(open(rows, { ...labels, positions: [] }))
    expect(oneHot.message).to.match(
      /one-hot rows.*argmax.*or take the rows as probabilities with --soft-labels/,
    )
  })

  it('are numbers of the type that the loss takes: whole ones too', async () => {
    const values = (y: NpyArray, dtype: 'float64' | 'float32' | 'int32'): Promise<DataSet> =>
      open(y, { kind: 'values', dims: ['N', 2], dtype })
    const truth: NpyArray = { type: '|b1', shape: [2, 2], values: Uint8Array.of(1, 0, 0, 1) }
    const float = (await values(truth, 'float32')).target!
    expect(float.data).to.deep.equal(Float32Array.of(1, 0, 0, 1))
    const wide = (await values(int64([2, 2], [1, 0, 2, 1]), 'float64')).target!
    expect(wide).to.deep.include({ dtype: 'float64', data: Float64Array.of(1, 0, 2, 1) })
    const whole = (await values(int64([2, 2], [1, 0, -2, 1]), 'int32')).target!
    expect(whole).to.deep.include({ dtype: 'int32', data: Int32Array.of(1, 0, -2, 1) })
    const fraction: NpyArray = { type: '<f8', shape: [2, 2], values: Float64Array.of(0.5, 0, 0, 1) }
    expect((await rejection(values(fraction, 'int32'))).message).to.match(/holds float64, but .* int32/)
  })
})
