import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { expect } from 'chai'

import { CheckpointError, CheckpointFormatError } from '../../src/errors.js'
import { flax } from '../../src/trajectory/formats/flax.js'
import type { OpenedFile, Save, WeightKind } from '../../src/trajectory/formats/format.js'
import { openTrajectory } from '../../src/trajectory/open-trajectory.js'
import { rejection } from '../support/rejection.js'
import { expectSoundAnswers, fixtureFiles } from './damage.js'
import {
  expectRecorded,
  floatsOf,
  FORMATS_FOLDER,
  narrowedBy,
  recordedByFlax,
  stepsOf,
} from './recorded-run.js'
import { useRuns } from './write-runs.js'

const FORMS = 'fixtures/trajectory/flax'

/** What Flax read from the same files (scripts/make-fixtures/flax-forms.py). */
const expected = JSON.parse(readFileSync(`${FORMS}/expected.json`, 'utf8')) as Record<
  string,
  Record<string, number[]>
>

async function openForm(name: string, weights: WeightKind = 'raw'): Promise<Save> {
  return ((await flax.open(`${FORMS}/${name}.msgpack`, { weights })) as OpenedFile).saves[0]!
}

async function valuesOf(save: Save): Promise<Record<string, readonly number[]>> {
  return Object.fromEntries([...(await floatsOf(save))].map(([name, { values }]) => [name, values]))
}

/** MessagePack by hand: short texts, lists and dictionaries (specification, "fixstr", "fixarray", "fixmap"). */
const text = (value: string): Buffer => Buffer.concat([Buffer.of(0xa0 + value.length), Buffer.from(value)])
const list = (...items: readonly Uint8Array[]): Buffer =>
  Buffer.concat([Buffer.of(0x90 + items.length), ...items])
const map = (entries: Readonly<Record<string, Uint8Array>>): Buffer =>
  Buffer.concat([
    Buffer.of(0x80 + Object.keys(entries).length),
    ...Object.entries(entries).flatMap(([key, value]) => [text(key), value]),
  ])
const bytes = (content: Uint8Array): Buffer => Buffer.concat([Buffer.of(0xc4, content.length), content])
const extension = (type: number, content: Uint8Array): Buffer =>
  Buffer.concat([Buffer.of(0xc7, content.length, type), content])
const array = (shape: readonly number[], type: string, content: Uint8Array): Buffer =>
  extension(1, list(list(...shape.map((size) => Buffer.of(size))), text(type), bytes(content)))
const floats = (...values: number[]): Uint8Array => new Uint8Array(Float32Array.from(values).buffer)

describe('checkpoints of Flax', () => {
  const run = useRuns()

  for (const [id, what] of [
    ['checkpoint', 'a training state, its optimizer with it'],
    ['chunked', 'arrays in pieces'],
    ['hf', 'folders of a model each'],
    ['msgpack', 'bytes of variables'],
  ] as const)
    it(`are read, ${what}`, async () => {
      expect(stepsOf(await expectRecorded(`flax-${id}`, recordedByFlax))).to.equal('step: 0, 10, 20, 30')
    })

  it('are read in bfloat16', async () => {
    await expectRecorded(`flax-bf16`, narrowedBy('flax-bf16'))
  })

  it('take the step from inside the file', async () => {
    const trajectory = await openTrajectory(`${FORMATS_FOLDER}/flax-checkpoint`)
    expect(trajectory.notes).to.deep.equal(["steps: from 'step' inside the files"])
  })

  it('are read in every float type; whole numbers are no weights, complex ones not read, plain values passed over', async () => {
    const save = await openForm('types')
    expect(await valuesOf(save)).to.deep.equal(expected.types)
    expect(save.tensors.get('fortran')!.shape).to.deep.equal([2, 2])
    const others = ['int64', 'int8', 'uint8', 'uint64', 'bool']
    expect(others.map((name) => save.tensors.get(name)?.dtype)).to.deep.equal(others)
    expect(save.tensors.get('complex64')!.unsupported).to.equal('complex64')
    for (const name of ['number', 'text', 'none', 'complex', 'bytes'])
      expect(save.tensors.has(name)).to.equal(false)
  })

  it('find the training state within a dictionary of other things', async () => {
    const save = await openForm('state')
    expect(await valuesOf(save)).to.deep.equal(expected.state)
    expect([...save.counters]).to.deep.equal([['step', 40]])
  })

  it('give averages where they are asked for, and the rest as it is', async () => {
    expect(await valuesOf(await openForm('state', 'ema'))).to.deep.equal(expected['state.ema'])
    const error = await rejection(openForm('types', 'ema'))
    expect(error).to.be.instanceOf(CheckpointFormatError)
    expect(error.message).to.match(/holds no averaged weights \(none of ema_params/)
  })

  it("find the target of Flax's early optimizers, and their step", async () => {
    const save = await openForm('optimizer')
    expect(await valuesOf(save)).to.deep.equal(expected.optimizer)
    expect([...save.counters]).to.deep.equal([
      ['step', 9],
      ['epoch', 2],
    ])
  })

  it('are read from the shards of a model, which must be complete', async () => {
    const shard = (name: string, value: number): Buffer =>
      map({ params: map({ [name]: array([1], 'float32', floats(value)) }) })
    const folder = (step: number): Record<string, Uint8Array> => ({
      [`checkpoint-${step}/flax_model-00001-of-00002.msgpack`]: shard('a', step),
      [`checkpoint-${step}/flax_model-00002-of-00002.msgpack`]: shard('b', -step),
    })
    const { checkpoints } = await openTrajectory(run({ ...folder(1), ...folder(2) }))
    expect([...(await checkpoints[1]!.read('params/b')).data]).to.deep.equal([-2])
    const { 'checkpoint-2/flax_model-00001-of-00002.msgpack': first } = folder(2)
    const error = await rejection(
      openTrajectory(run({ ...folder(1), 'checkpoint-2/flax_model-00001-of-00002.msgpack': first! })),
    )
    expect(error.message).to.match(/checkpoint-2: holds 1 of the 2 shards of its model/)
  })

  it('are no text, no pickle and no empty dictionary, whatever they are called', async () => {
    const first = map({ w: array([1], 'float32', floats(1)) })
    const { checkpoints, leftOut } = await openTrajectory(
      run({
        checkpoint_1: first,
        checkpoint_2: first,
        LICENSE: 'Apache License',
        Übersicht: 'Übersicht',
        pickle: Buffer.of(0x80, 0x04, 0x95),
        nothing: map({}),
        'other.bin': first,
      }),
    )
    expect(checkpoints.map(({ path }) => basename(path))).to.deep.equal(['checkpoint_1', 'checkpoint_2'])
    expect(leftOut).to.have.length(5)
  })

  const sound = map({ w: array([2], 'float32', floats(1, 2)) })
  const nested = Array.from({ length: 100 }).reduce<Buffer>((inner) => map({ a: inner }), Buffer.of(0xc0))
  const BAD: readonly [what: string, content: Uint8Array, message: RegExp][] = [
    [
      'a file that was cut off',
      sound.subarray(0, -3),
      /checkpoint_2: truncated or corrupt: \d+ bytes are needed at \d+, but there are \d+/,
    ],
    ['bytes after the end', Buffer.concat([sound, Buffer.of(0)]), /1 bytes after its value/],
    [
      'a shape that does not fit its bytes',
      map({ w: array([3], 'float32', floats(1, 2)) }),
      /the array at byte \d+ of shape \[3\] and float32 takes 12 bytes, its place has 8/,
    ],
    [
      'an array without values',
      map({ w: extension(1, list(list(), text('float32'))) }),
      /is not made of shape, type and values/,
    ],
    [
      'a size that is no number',
      map({ w: extension(1, list(list(text('a')), text('float32'), bytes(floats(1)))) }),
      /has the shape \[NaN\]/,
    ],
    ['bytes that begin no value', map({ w: Buffer.of(0xc1) }), /a byte that begins no value/],
    [
      'a key that is a list',
      Buffer.concat([Buffer.of(0x82), text('a'), Buffer.of(1), list(), Buffer.of(1)]),
      /a key that is neither text nor number/,
    ],
    [
      'one key twice',
      Buffer.concat([Buffer.of(0x82), text('a'), Buffer.of(1), text('a'), Buffer.of(1)]),
      /two values under the key "a"/,
    ],
    ['dictionaries nested without end', nested, /values nest more than 64 deep/],
    [
      'a dictionary of four thousand million entries',
      Buffer.concat([Buffer.of(0xdf, 255, 255, 255, 255), text('a'), Buffer.of(1)]),
      /truncated or corrupt/,
    ],
    [
      'values without end',
      map({ a: Buffer.concat([Buffer.of(0xdd, 0, 15, 255, 255), Buffer.alloc(0xfffff)]) }),
      /more than 250000 values/,
    ],
    [
      'an array in pieces of which one is missing',
      map({
        w: map({
          __msgpack_chunked_array__: Buffer.of(0xc3),
          shape: map({ 0: Buffer.of(2) }),
          chunks: map({ 0: array([1], 'float32', floats(1)) }),
        }),
      }),
      /of shape \[2\] and float32 takes 8 bytes, its place has 4/,
    ],
    [
      'an array in pieces without any',
      map({ w: map({ __msgpack_chunked_array__: Buffer.of(0xc3), shape: map({}), chunks: map({}) }) }),
      /has a piece that is no array/,
    ],
  ]
  for (const [what, content, message] of BAD)
    it(`refuse ${what}`, async () => {
      const error = await rejection(openTrajectory(run({ checkpoint_1: sound, checkpoint_2: content })))
      expect(error).to.be.instanceOf(CheckpointError)
      expect(error.message).to.match(message)
    })

  it('answer damage with an error of their own, or numbers in their shapes', async () => {
    const files = fixtureFiles(`${FORMATS_FOLDER}/flax-checkpoint`, ['checkpoint_0', 'checkpoint_10'])
    await expectSoundAnswers(files, run, 200, false)
    const pieces = fixtureFiles(`${FORMATS_FOLDER}/flax-chunked`, ['step_0.msgpack', 'step_10.msgpack'])
    await expectSoundAnswers(pieces, run, 100, false)
  })
})
