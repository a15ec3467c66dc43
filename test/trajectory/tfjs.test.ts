import { symlinkSync } from 'node:fs'
import { expect } from 'chai'

import { CheckpointError, CheckpointFormatError } from '../../src/errors.js'
import { openTrajectory } from '../../src/trajectory/open-trajectory.js'
import { rejection } from '../support/rejection.js'
import { expectSoundAnswers, fixtureFiles } from './damage.js'
import { expectRecorded, FORMATS_FOLDER, narrowedBy, recordedByKeras, stepsOf } from './recorded-run.js'
import { useRuns, type Files } from './write-runs.js'

interface Weight {
  readonly name: string
  readonly shape: readonly number[]
  readonly dtype: string
  readonly [key: string]: unknown
}

const model = (weights: readonly Weight[], paths: readonly string[] = ['weights.bin']): string =>
  JSON.stringify({ modelTopology: {}, weightsManifest: [{ paths, weights }] })
const floats = (...values: number[]): Uint8Array => new Uint8Array(Float32Array.from(values).buffer)
const w = (shape: readonly number[], more: object = {}): Weight => ({
  name: 'w',
  shape,
  dtype: 'float32',
  ...more,
})

/** A folder for each of two steps, of which the second is as given. */
const steps = (
  second: Files,
  first: Files = { 'model.json': model([w([2])]), 'weights.bin': floats(1, 2) },
): Files =>
  Object.fromEntries(
    [first, second].flatMap((files, i) =>
      Object.entries(files).map(([name, content]) => [`step-${i + 1}/${name}`, content]),
    ),
  )

describe('models of TensorFlow.js', () => {
  const run = useRuns()

  for (const [id, what] of [
    ['browser', 'by a browser, the optimizer with them'],
    ['converter', 'by the converter'],
    ['downloads', 'as a browser downloads them, side by side'],
    ['groups', 'in several groups'],
    ['node', 'by Node.js'],
    ['shards', 'in several shards, across which a weight may lie'],
  ] as const)
    it(`are read as they are saved ${what}`, async () => {
      expect(stepsOf(await expectRecorded(`tfjs-${id}`, recordedByKeras))).to.equal('step: 0, 10, 20, 30')
    })

  for (const id of ['float16', 'uint16', 'uint8'])
    it(`are read as the converter quantizes them to ${id}`, async () => {
      await expectRecorded(`tfjs-${id}`, narrowedBy(`tfjs-${id}`))
    })

  it('are read past strings, complex numbers and whole numbers, which are no weights', async () => {
    const text = Buffer.concat([Buffer.of(3, 0, 0, 0), Buffer.from('abc'), Buffer.of(0, 0, 0, 0)])
    const weights: Weight[] = [
      { name: 'text', shape: [2], dtype: 'string' },
      { name: 'complex', shape: [1], dtype: 'complex64' },
      { name: 'whole', shape: [1], dtype: 'int32' },
      { name: 'levels', shape: [2], dtype: 'int32', quantization: { dtype: 'uint8', min: 0, scale: 1 } },
      { name: 'flag', shape: [1], dtype: 'bool' },
      w([2]),
    ]
    const bytes = Buffer.concat([text, floats(1, 2), floats(0), Buffer.of(1, 2, 1), floats(3, 4)])
    const files = { 'model.json': model(weights), 'weights.bin': bytes }
    const { checkpoints } = await openTrajectory(run(steps(files, files)))
    expect([...(await checkpoints[0]!.read('w')).data]).to.deep.equal([3, 4])
    const types = [...checkpoints[0]!.tensors.values()].map(({ dtype, unsupported }) => unsupported ?? dtype)
    expect(types).to.deep.equal(['string', 'complex64', 'int32', 'int32', 'bool', 'float32'])
    expect((await rejection(checkpoints[0]!.read('text'))).message).to.match(
      /element type string, which is not read/,
    )
  })

  it('tell saves apart by their fingerprints, whichever file differs', async () => {
    const { checkpoints } = await openTrajectory(
      run(steps({ 'model.json': model([w([2])]), 'weights.bin': floats(1, 3) })),
    )
    const prints = await Promise.all(checkpoints.map((checkpoint) => checkpoint.fingerprint()))
    expect(new Set(prints).size).to.equal(2)
  })

  const bin = { 'weights.bin': floats(1, 2) }
  const place = (path: string): Files => ({ 'model.json': model([w([2])], [path]), ...bin })
  const BAD: readonly [string, Files, typeof CheckpointError | typeof CheckpointFormatError, RegExp][] = [
    [
      'a shard above the folder',
      place('../weights.bin'),
      CheckpointError,
      /names the file "\.\.\/weights\.bin", which is none of this folder/,
    ],
    ['a shard by an absolute path', place('/etc/hosts'), CheckpointError, /names the file "\/etc\/hosts"/],
    ['a shard on a drive', place('c:weights.bin'), CheckpointError, /which is none of this folder/],
    ['a shard with a zero byte', place('a\0b'), CheckpointError, /which is none of this folder/],
    [
      'a missing shard',
      place('group1-shard1of1.bin'),
      CheckpointError,
      /the file group1-shard1of1\.bin that it names cannot be opened/,
    ],
    [
      'shards that are too short',
      { 'model.json': model([w([3])]), ...bin },
      CheckpointError,
      /truncated: weight w needs bytes 0 to 12 of weights\.bin, which have 8/,
    ],
    [
      'shards that are too long',
      { 'model.json': model([w([1])]), ...bin },
      CheckpointError,
      /its weights take 4 bytes of weights\.bin, which have 8/,
    ],
    [
      'a shape beyond all numbers',
      { 'model.json': model([w([2 ** 50, 2 ** 50])]), ...bin },
      CheckpointError,
      /weight w needs bytes/,
    ],
    [
      'a negative size',
      { 'model.json': model([w([-2])]), ...bin },
      CheckpointError,
      /weightsManifest\.0\.weights\.0\.shape\.0/,
    ],
    [
      'an element type from nowhere',
      { 'model.json': model([w([2], { dtype: '__proto__' })]), ...bin },
      CheckpointFormatError,
      /weight w has element type __proto__, which is not read/,
    ],
    [
      'a string that leaves the file',
      { 'model.json': model([w([1], { dtype: 'string' })]), ...bin },
      CheckpointError,
      /weight w needs bytes 0 to \d+ of weights\.bin, which have 8/,
    ],
    [
      'quantization without a scale',
      { 'model.json': model([w([8], { quantization: { dtype: 'uint8', min: 0 } })]), ...bin },
      CheckpointError,
      /weight w is quantized to uint8 without 'min' and 'scale'/,
    ],
    [
      'two weights of one name',
      { 'model.json': model([w([1]), w([1])]), ...bin },
      CheckpointError,
      /two weights are named w/,
    ],
    [
      'a model that is no JSON',
      { 'model.json': '{"modelTopology"', ...bin },
      CheckpointError,
      /model\.json: corrupt: it is no JSON/,
    ],
    [
      'a model without weights',
      { 'model.json': '{"modelTopology": {}}', ...bin },
      CheckpointError,
      /no weightsManifest of TensorFlow\.js/,
    ],
  ]
  for (const [what, second, kind, message] of BAD)
    it(`refuse ${what}`, async () => {
      const error = await rejection(openTrajectory(run(steps(second))))
      expect(error).to.be.instanceOf(kind)
      expect(error.message).to.match(message)
    })

  it('refuse a shard that is a link out of the folder', async () => {
    const outside = run(bin)
    const folder = run({ ...steps({ 'model.json': model([w([2])], ['group1-shard1of1.bin']) }) })
    symlinkSync(`${outside}/weights.bin`, `${folder}/step-2/group1-shard1of1.bin`)
    expect((await rejection(openTrajectory(folder))).message).to.match(
      /is a link that leads out of the folder/,
    )
  })

  it('answer damage with an error of their own, or numbers in their shapes', async () => {
    const names = [0, 10].flatMap((step) =>
      ['model.json', 'group1-shard1of2.bin', 'group1-shard2of2.bin'].map((name) => `step-${step}/${name}`),
    )
    await expectSoundAnswers(fixtureFiles(`${FORMATS_FOLDER}/tfjs-shards`, names), run, 300, false)
  })
})
