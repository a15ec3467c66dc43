import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { expect } from 'chai'

import { CheckpointError, CheckpointFormatError } from '../../src/errors.js'
import type { OpenedFile, Save, WeightKind } from '../../src/trajectory/formats/format.js'
import { tensorflow } from '../../src/trajectory/formats/tensorflow.js'
import { openTrajectory } from '../../src/trajectory/open-trajectory.js'
import { rejection } from '../support/rejection.js'
import { expectSoundAnswers, fixtureFiles } from './damage.js'
import {
  expectRecorded,
  floatsOf,
  FORMATS_FOLDER,
  recordedByKeras,
  stepsOf,
  type Expected,
} from './recorded-run.js'
import { flipped, useRuns, type Files } from './write-runs.js'
import { bundleEntry, bundleHeader, record, tableFile } from './write-table.js'

const FORMS = 'fixtures/trajectory/tensorflow'

/** What TensorFlow read from the same files (scripts/make-fixtures/tensorflow-forms.py). */
const expected = JSON.parse(readFileSync(`${FORMS}/expected.json`, 'utf8')) as Record<
  string,
  Record<string, number[]>
>

const under =
  (prefix: string) =>
  async (step: number): Promise<Map<string, Expected>> =>
    new Map([...(await recordedByKeras(step))].map(([name, tensor]) => [`${prefix}${name}`, tensor]))

/** Folder, how its names begin before Keras' own, steps. */
const WRITTEN: readonly [id: string, prefix: string, steps: string, what: string][] = [
  [
    'keras-manager',
    'network/',
    'step: 0, 10, 20, 30',
    'of Keras 3 with its Adam, under whose keys the weights are',
  ],
  ['keras-checkpoint', 'network/', 'epoch: 1, 2, 3, 4', 'of a Keras 3 model alone'],
  ['tf-keras-manager', '', 'step: 0, 10, 20, 30', 'of Keras 2 with its Adam'],
  ['tf-keras-checkpoint', '', 'step: 1, 2, 3, 4', "of Keras 2's callback, where the optimizer counts steps"],
  ['tf-saved-model', '', 'epoch: 1, 2, 3, 4', 'in SavedModels, a folder each'],
  ['tf-module', 'net/', 'save: 1, 2, 3, 4', 'of a plain module, whose variables are called alike'],
  ['tf1-saver', '', 'step: 0, 10, 20, 30', "of TensorFlow 1's Saver, with slots of Momentum"],
]

/** What the second checkpoint of a run is, where it is not sound. */
interface Second {
  readonly index?: Uint8Array
  readonly data?: Uint8Array | 'missing'
}

async function openForm(name: string, weights: WeightKind = 'raw'): Promise<Save> {
  return ((await tensorflow.open(`${FORMS}/${name}.index`, { weights })) as OpenedFile).saves[0]!
}

async function valuesOf(save: Save): Promise<Record<string, readonly number[]>> {
  return Object.fromEntries([...(await floatsOf(save))].map(([name, { values }]) => [name, values]))
}

describe('checkpoints of TensorFlow', () => {
  const run = useRuns()

  for (const [id, prefix, steps, what] of WRITTEN)
    it(`are read, ${what}`, async () => {
      expect(stepsOf(await expectRecorded(id, under(prefix)))).to.equal(steps)
    })

  it('are read in every float type; whole numbers are no weights, complex ones not read, text passed over', async () => {
    const save = await openForm('types.ckpt-7')
    expect(await valuesOf(save)).to.deep.equal(expected.types)
    expect(save.tensors.get('empty')!.shape).to.deep.equal([0, 3])
    expect(save.tensors.get('int8')!.dtype).to.equal('int8')
    expect(save.tensors.get('bool')!.dtype).to.equal('bool')
    expect(save.tensors.get('complex64')!.unsupported).to.equal('DataType 8')
    expect(save.tensors.has('string')).to.equal(false)
  })

  for (const [name, id] of [
    ['averages.ckpt-7', 'averages'],
    ['keras-averages-1', 'keras-averages'],
  ] as const) {
    it(`give the weights of ${id}, and not what its optimizer keeps`, async () => {
      expect(await valuesOf(await openForm(name))).to.deep.equal(expected[id])
    })

    it(`give the averages of ${id} where they are asked for, and the rest as it is`, async () => {
      expect(await valuesOf(await openForm(name, 'ema'))).to.deep.equal(expected[`${id}.ema`])
    })
  }

  for (const name of ['tf1-saver/model.ckpt-10', 'tf-module/ckpt-2'])
    it(`say that ${name} holds no averages`, async () => {
      const error = await rejection(tensorflow.open(`${FORMATS_FOLDER}/${name}.index`, { weights: 'ema' }))
      expect(error).to.be.instanceOf(CheckpointFormatError)
      expect(error.message).to.match(/holds no averaged weights/)
    })

  it('are read from several data files', async () => {
    expect(await valuesOf(await openForm('sharded.ckpt-7'))).to.deep.equal(expected.sharded)
  })

  it('are refused where a variable is partitioned, with what to do', async () => {
    const error = await rejection(openForm('sliced.ckpt-7'))
    expect(error).to.be.instanceOf(CheckpointFormatError)
    expect(error.message).to.match(/variable kernel is partitioned into 2 slices.*save them again/)
  })

  it('leave out the files beside an index, with the reason', async () => {
    const { leftOut } = await openTrajectory(`${FORMATS_FOLDER}/tf1-saver`)
    const reasons = new Map(leftOut.map(({ path, reason }) => [basename(path), reason]))
    expect([...reasons.keys()]).to.include.members([
      'checkpoint',
      'model.ckpt-0.data-00000-of-00001',
      'model.ckpt-30.meta',
    ])
    for (const reason of reasons.values()) expect(reason).to.match(/a part of a TensorFlow checkpoint/)
  })

  const [one, two] = ['ckpt-1', 'ckpt-2'].map((name) => ({
    index: readFileSync(`${FORMATS_FOLDER}/tf-module/${name}.index`),
    data: readFileSync(`${FORMATS_FOLDER}/tf-module/${name}.data-00000-of-00001`),
  })) as [{ index: Buffer; data: Buffer }, { index: Buffer; data: Buffer }]
  const saves = ({ index = two.index, data = two.data }: Second): Files => ({
    'ckpt-1.index': one.index,
    'ckpt-1.data-00000-of-00001': one.data,
    'ckpt-2.index': index,
    ...(data === 'missing' ? {} : { 'ckpt-2.data-00000-of-00001': data }),
  })

  it('open by the index alone: a damaged value is noticed, by its checksum, when it is read', async () => {
    const { checkpoints } = await openTrajectory(run(saves({ data: flipped(two.data, 40) })))
    const outcomes = await Promise.all(
      [...checkpoints[1]!.tensors.keys()].map((name) =>
        checkpoints[1]!.read(name).then(
          () => 'read',
          (error: unknown) => error,
        ),
      ),
    )
    const errors = outcomes.filter((outcome) => outcome instanceof Error)
    expect(errors).to.have.length(1)
    expect(errors[0]).to.be.instanceOf(CheckpointError)
    expect(errors[0]!.message).to.match(
      /ckpt-2\.data-00000-of-00001: corrupt: tensor net\/.* does not match its checksum in ckpt-2\.index/,
    )
  })

  const weight = Float32Array.of(1, 2)
  const entry = bundleEntry([2], weight)
  const header = ['', bundleHeader()] as const
  const forged = (...entries: readonly (readonly [string, Uint8Array])[]): Buffer => tableFile(entries)
  const BAD: readonly [
    what: string,
    second: Second,
    error: typeof CheckpointError | typeof CheckpointFormatError,
    message: RegExp,
  ][] = [
    [
      'a damaged index',
      { index: flipped(two.index, 30) },
      CheckpointError,
      /ckpt-2\.index: corrupt: the block at 0 does not match its checksum/,
    ],
    [
      'an index that was cut off',
      { index: two.index.subarray(0, -7) },
      CheckpointError,
      /its last bytes are not those of a table/,
    ],
    ['an empty index', { index: new Uint8Array() }, CheckpointError, /truncated: 0 bytes are too few/],
    [
      'a data file that was cut off',
      { data: two.data.subarray(0, 100) },
      CheckpointError,
      /ckpt-2\.data-00000-of-00001: truncated: tensor .* needs bytes \d+ to \d+, but the file has 100/,
    ],
    [
      'an index without its data file',
      { data: 'missing' },
      CheckpointError,
      /the file ckpt-2\.data-00000-of-00001 that it names cannot be opened/,
    ],
    [
      'big-endian numbers',
      { index: forged(['', bundleHeader(1, 1)], ['w', entry]) },
      CheckpointFormatError,
      /its numbers are big-endian/,
    ],
    [
      'a version of the future',
      { index: forged(['', bundleHeader(1, 0, 2)], ['w', entry]) },
      CheckpointFormatError,
      /needs a reader of version 2; version 1 is read/,
    ],
    [
      'data files without number',
      { index: forged(['', bundleHeader(2 ** 30)]) },
      CheckpointError,
      /counts 1073741824 data files/,
    ],
    [
      'an index without a header',
      { index: forged(['w', entry]) },
      CheckpointError,
      /first entry is no header/,
    ],
    [
      'a data file that there is not',
      { index: forged(header, ['w', bundleEntry([2], weight, { shard: 1 })]) },
      CheckpointError,
      /tensor w is in data file 1 of 1/,
    ],
    [
      'a shape that does not fit its bytes',
      { index: forged(header, ['w', bundleEntry([3], weight)]) },
      CheckpointError,
      /tensor w: its shape \[3\] of float32 takes 12 bytes, its place has 8/,
    ],
    [
      'a negative size',
      { index: forged(header, ['w', bundleEntry([-2], weight)]) },
      CheckpointError,
      /tensor w cannot be decoded: -2 where a size or place must be/,
    ],
    [
      'names out of order',
      { index: forged(header, ['w', entry], ['b', entry]) },
      CheckpointError,
      /its keys do not ascend/,
    ],
    [
      'packed blocks',
      { index: tableFile([header, ['w', entry]], { packing: 1 }) },
      CheckpointError,
      /is packed \(kind 1\), which is not read/,
    ],
  ]
  for (const [what, second, kind, message] of BAD)
    it(`refuse ${what}`, async () => {
      const error = await rejection(openTrajectory(run(saves(second))))
      expect(error).to.be.instanceOf(kind)
      expect(error.message).to.match(message)
    })

  it('refuse keys that grow without end out of a small file', async () => {
    const more = Array.from({ length: 40_000 }, (_, i) =>
      record(Math.min(4000, i), i < 4000 ? Buffer.from('a') : Buffer.of(i >> 8, i & 255), new Uint8Array()),
    )
    const error = await rejection(openTrajectory(run(saves({ index: tableFile([header], { more }) }))))
    expect(error).to.be.instanceOf(CheckpointError)
    expect(error.message).to.match(/corrupt: keys of \d+ bytes/)
  })

  it('answer damage with an error of their own, never with other numbers', async () => {
    const managed = ['ckpt-1', 'ckpt-2'].flatMap((name) => [`${name}.index`, `${name}.data-00000-of-00001`])
    for (const id of ['keras-manager', 'tf-module'])
      await expectSoundAnswers(fixtureFiles(`${FORMATS_FOLDER}/${id}`, managed), run, 150, true)
  })
})
