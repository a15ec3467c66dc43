import { mkdirSync } from 'node:fs'
import { basename } from 'node:path'
import { expect } from 'chai'

import { CheckpointError, CheckpointFormatError, RetrogradError } from '../../src/errors.js'
import type { Trajectory } from '../../src/trajectory/checkpoint.js'
import { openTrajectory } from '../../src/trajectory/open-trajectory.js'
import { useTempFolder } from '../io/temp-folder.js'
import { rejection } from '../support/rejection.js'
import { safetensorsFile, vectors } from './write-checkpoints.js'

type Files = Readonly<Record<string, Uint8Array | string>>

const INDEX = 'model.safetensors.index.json'
const [FIRST, SECOND] = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors']

function index(weightMap: unknown): string {
  return JSON.stringify({ metadata: { total_size: 12 }, weight_map: weightMap })
}

/** A save in two shards: `a` = [value, 1], `b` = [value]. */
function sharded(value: number, changes: Files = {}): Files {
  return {
    [INDEX]: index({ a: FIRST, b: SECOND }),
    [FIRST]: vectors({ a: [value, 1] }),
    [SECOND]: vectors({ b: [value] }),
    'optimizer.pt': 'x',
    'scheduler.pt': 'x',
    'training_args.bin': 'x',
    'rng_state.pth': 'x',
    'trainer_state.json': JSON.stringify({ global_step: value, epoch: 0.5 }),
    ...changes,
  }
}

function without(files: Files, ...names: readonly string[]): Files {
  return Object.fromEntries(Object.entries(files).filter(([name]) => !names.includes(name)))
}

describe('folders of the Hugging Face Trainer', () => {
  const file = useTempFolder()
  let runs = 0

  /** Writes files of a folder for each checkpoint, and gives the path of the folder around them. */
  function run(folders: Readonly<Record<string, Files>>, beside: Files = {}): string {
    const name = `run-${runs++}`
    mkdirSync(file(name))
    for (const [fileName, content] of Object.entries(beside)) file(`${name}/${fileName}`, content)
    for (const [folder, files] of Object.entries(folders)) {
      mkdirSync(file(`${name}/${folder}`))
      for (const [fileName, content] of Object.entries(files)) file(`${name}/${folder}/${fileName}`, content)
    }
    return file(name)
  }

  const steps = ({ stepUnit, checkpoints }: Trajectory): string =>
    `${stepUnit}: ${checkpoints.map(({ step, path }) => `${step} ${basename(path)}`).join(', ')}`

  it('opens shards by their index, in the order of the steps, and reads every tensor', async () => {
    const path = run({ 'checkpoint-20': sharded(20), 'checkpoint-3': sharded(3) })
    const trajectory = await openTrajectory(path)
    expect(steps(trajectory)).to.equal('step: 3 checkpoint-3, 20 checkpoint-20')
    expect(trajectory.format).to.contain('Hugging Face')
    const [, last] = trajectory.checkpoints
    expect([...last!.tensors.keys()]).to.deep.equal(['a', 'b'])
    expect([...(await last!.read('a')).data, ...(await last!.read('b')).data]).to.deep.equal([20, 1, 20])
    expect(last!.bytes).to.equal(vectors({ a: [1, 1] }).length + vectors({ b: [1] }).length)
    expect((await rejection(last!.read('c'))).message).to.match(/checkpoint-20: there is no tensor c/)
  })

  it('opens one file for each checkpoint', async () => {
    const single = (value: number): Files => ({ 'model.safetensors': vectors({ a: [value] }) })
    const trajectory = await openTrajectory(run({ 'checkpoint-1': single(1), 'checkpoint-2': single(2) }))
    expect(steps(trajectory)).to.equal('step: 1 checkpoint-1, 2 checkpoint-2')
    expect(trajectory.notes).to.deep.equal(['steps: from the number in the file names'])
    expect([...(await trajectory.checkpoints[1]!.read('a')).data]).to.deep.equal([2])
  })

  it("takes the trainer's step before the folder's name, and reads the NaN that Python logs", async () => {
    const logged = (step: number): Files => ({
      'trainer_state.json': `{"global_step": ${step}, "log_history": [{"loss": NaN, "x": "NaN", "y": -Infinity}]}`,
    })
    const path = run({
      'checkpoint-1': sharded(1, logged(70)),
      'checkpoint-2': sharded(2, logged(60)),
    })
    const trajectory = await openTrajectory(path)
    expect(steps(trajectory)).to.equal('step: 60 checkpoint-2, 70 checkpoint-1')
    expect(trajectory.notes).to.deep.equal(["steps: from 'global_step' inside the files"])
  })

  it("takes the folder's name where the trainer's state tells no step", async () => {
    const silent: Files = { 'trainer_state.json': '{"epoch": 1}' }
    const path = run({ 'checkpoint-4': sharded(4, silent), 'checkpoint-8': sharded(8, silent) })
    expect(steps(await openTrajectory(path))).to.equal('step: 4 checkpoint-4, 8 checkpoint-8')
  })

  it('leaves out what stands beside the folders, with the reason', async () => {
    const weights = vectors({ a: [9] })
    const path = run(
      { 'checkpoint-1': sharded(1), 'checkpoint-2': sharded(2), 'tmp-checkpoint-3': sharded(3), runs: {} },
      { 'model.safetensors': weights, 'training_args.bin': 'x', 'config.json': '{}' },
    )
    const trajectory = await openTrajectory(path)
    expect(trajectory.checkpoints).to.have.length(2)
    expect(
      Object.fromEntries(trajectory.leftOut.map((one) => [basename(one.path), one.reason])),
    ).to.deep.equal({
      'model.safetensors': 'the final weights, beside a folder for each checkpoint',
      'tmp-checkpoint-3': 'a save that was not finished',
      runs: 'a folder that is no checkpoint',
      'training_args.bin': 'state of the trainer, not weights',
      'config.json': 'not a checkpoint file',
    })
  })

  it('tells saves apart by their fingerprints, whichever shard differs', async () => {
    const same = sharded(2, { [FIRST]: vectors({ a: [1, 1] }) })
    const other = sharded(3, { [FIRST]: vectors({ a: [1, 1] }), [SECOND]: vectors({ b: [5] }) })
    const { checkpoints } = await openTrajectory(
      run({ 'checkpoint-1': sharded(1), 'checkpoint-2': same, 'checkpoint-3': other }),
    )
    const prints = await Promise.all(checkpoints.map((checkpoint) => checkpoint.fingerprint()))
    for (const print of prints) expect(print).to.match(/^[0-9a-f]{64}$/)
    expect(new Set(prints).size).to.equal(3)
  })

  const escaping = (shard: unknown): Files => sharded(2, { [INDEX]: index({ a: FIRST, b: shard }) })
  const BAD: readonly [what: string, second: Files, message: RegExp][] = [
    [
      'a missing shard',
      without(sharded(2), SECOND),
      /1 of the 2 shards that .*index\.json names are missing: model-00002/,
    ],
    [
      'a shard above the folder',
      escaping('../b.safetensors'),
      /tensor b is placed in "\.\.\/b\.safetensors"/,
    ],
    [
      'an absolute path as shard',
      escaping('/etc/b.safetensors'),
      /which is no \.safetensors file of this folder/,
    ],
    [
      'a backslash in a shard',
      escaping('..\\b.safetensors'),
      /which is no \.safetensors file of this folder/,
    ],
    ['a drive in a shard', escaping('c:b.safetensors'), /which is no \.safetensors file of this folder/],
    ['a shard of another kind', escaping('optimizer.pt'), /tensor b is placed in "optimizer\.pt"/],
    ['a shard that is no name', escaping(7), /tensor b is placed in 7/],
    ['a zero byte in a shard', escaping('b\0.safetensors'), /which is no \.safetensors file/],
    [
      'a tensor that its shard lacks',
      sharded(2, { [SECOND]: vectors({ c: [1] }) }),
      /model-00002.*: tensor b is missing, which model\.safetensors\.index\.json places there/,
    ],
    [
      'a tensor in two shards',
      sharded(2, { [SECOND]: vectors({ a: [1, 2], b: [1] }) }),
      /model-00002.*: holds tensor a, which .*index\.json places in model-00001/,
    ],
    [
      'a tensor that the index does not name',
      sharded(2, { [SECOND]: vectors({ b: [1], c: [1] }) }),
      /model-00002.*: holds tensor c, which .*index\.json does not name/,
    ],
    [
      'both kinds of weights',
      sharded(2, { 'model.safetensors': vectors({ a: [1] }) }),
      /holds both model\.safetensors and/,
    ],
    [
      'an index without places',
      sharded(2, { [INDEX]: '{"metadata": {}}' }),
      /index\.json: corrupt: it has no 'weight_map'/,
    ],
    ['a list as index', sharded(2, { [INDEX]: index(['a']) }), /it has no 'weight_map' of tensors to files/],
    ['an index of nothing', sharded(2, { [INDEX]: index({}) }), /its 'weight_map' is empty/],
    [
      'an index that is no JSON',
      sharded(2, { [INDEX]: '{"weight_map"' }),
      /index\.json: corrupt: it is no JSON/,
    ],
    [
      "a trainer's state that was cut off",
      sharded(2, { 'trainer_state.json': '{"global_' }),
      /trainer_state\.json: corrupt: it is no JSON/,
    ],
    [
      'a truncated shard',
      sharded(2, { [SECOND]: vectors({ b: [1] }).subarray(0, -1) }),
      /model-00002.*truncated/,
    ],
    [
      'an index that names __proto__',
      sharded(2, { [INDEX]: `{"weight_map": {"__proto__": "${FIRST}"}}` }),
      /tensor __proto__ is missing/,
    ],
  ]
  for (const [what, second, message] of BAD)
    it(`refuses ${what}`, async () => {
      const error = await rejection(
        openTrajectory(run({ 'checkpoint-1': sharded(1), 'checkpoint-2': second })),
      )
      expect(error).to.be.instanceOf(CheckpointError)
      expect(error.message).to.match(message)
    })

  it('refuses a step whose folder holds no weights, which would leave a gap', async () => {
    const path = run({
      'checkpoint-1': sharded(1),
      'checkpoint-2': sharded(2),
      'checkpoint-3': { 'optimizer.pt': 'x' },
    })
    const error = await rejection(openTrajectory(path))
    expect(error).to.be.instanceOf(CheckpointError)
    expect(error.message).to.match(/checkpoint-3: holds no weights that are read, while 2 other folders do/)
  })

  it('refuses folders of other weights, and says what is read', async () => {
    const other: Files = { 'weights.dat': 'x' }
    const error = await rejection(openTrajectory(run({ 'checkpoint-1': other, 'checkpoint-2': other })))
    expect(error).to.be.instanceOf(CheckpointFormatError)
    expect(error.message).to.match(
      /checkpoint-1\) is read where it holds model\.safetensors.*docs\/recording\.md/,
    )
  })

  it('refuses files of weights among the folders', async () => {
    const path = run({ 'checkpoint-1': sharded(1) }, { 'step-2.safetensors': vectors({ a: [1] }) })
    expect((await rejection(openTrajectory(path))).message).to.match(
      /two formats mixed: checkpoint-1 is .*step-2/,
    )
  })

  it('takes one save for one, and names the folder above', async () => {
    const path = run({ 'checkpoint-1': sharded(1) })
    const error = await rejection(openTrajectory(`${path}/checkpoint-1`))
    expect(error.message).to.match(/checkpoint-1: is one checkpoint; name the folder that holds it/)
    expect((await rejection(openTrajectory(path))).message).to.match(
      /at least two checkpoints, found 1: .*checkpoint-1/,
    )
  })

  it('answers a damaged index with an error of its own, or reads on', async () => {
    const sound = Buffer.from(index({ a: FIRST, b: SECOND }))
    const folder = run({ 'checkpoint-1': sharded(1), 'checkpoint-2': sharded(2) })
    let seed = 4711
    const random = (below: number): number => (seed = (seed * 1103515245 + 12345) % 2 ** 31) % below
    for (let round = 0; round < 100; round++) {
      const damaged = Buffer.from(sound)
      for (let i = 0; i < 2; i++) damaged[random(damaged.length)] = random(256)
      file(`${basename(folder)}/checkpoint-2/${INDEX}`, damaged)
      const outcome = await openTrajectory(folder).catch((error: unknown) => error)
      if (outcome instanceof Error) expect(outcome, `round ${round}`).to.be.instanceOf(RetrogradError)
    }
  })

  it('takes an empty shard for corrupt, not for a shard without tensors', async () => {
    const path = run({
      'checkpoint-1': sharded(1),
      'checkpoint-2': sharded(2, { [SECOND]: safetensorsFile({}) }),
    })
    expect((await rejection(openTrajectory(path))).message).to.match(/tensor b is missing/)
  })
})
