import { mkdirSync, symlinkSync } from 'node:fs'
import { basename, join } from 'node:path'
import { expect } from 'chai'

import { CheckpointError, CheckpointFormatError, UsageError } from '../../src/errors.js'
import { openTrajectory } from '../../src/trajectory/open-trajectory.js'
import { parseStepRange } from '../../src/trajectory/step-range.js'
import type { Trajectory } from '../../src/trajectory/checkpoint.js'
import { useTempFolder } from '../io/temp-folder.js'
import { rejection } from '../support/rejection.js'
import { op, pickle, tensorOp, torchFile, vectors } from './write-checkpoints.js'

/** A torch file of one weight, `[value, value]`, and a counter. */
function torchCheckpoint(value: number, counter?: readonly [string, number]): Buffer {
  const state = op.dict(op.text('w'), tensorOp([2], [1]))
  const count = counter === undefined ? [] : [op.text(counter[0]), op.int(counter[1])]
  const storage = new Uint8Array(Float32Array.of(value, value).buffer)
  return torchFile(pickle(op.dict(op.text('model'), state, ...count)), { '0': storage })
}

describe('opening a trajectory', () => {
  const file = useTempFolder()
  let folders = 0

  /** Writes files to a fresh folder and gives its path. */
  function folderOf(files: Readonly<Record<string, Uint8Array | string>>): string {
    const name = `run-${folders++}`
    mkdirSync(file(name))
    for (const [fileName, content] of Object.entries(files)) file(`${name}/${fileName}`, content)
    return file(name)
  }

  const open = (files: Readonly<Record<string, Uint8Array | string>>, steps?: string): Promise<Trajectory> =>
    openTrajectory(folderOf(files), steps === undefined ? {} : { steps: parseStepRange(steps) })
  const plain = vectors({ w: [1, 2] })
  const summary = ({ stepUnit, checkpoints }: Trajectory): string =>
    `${stepUnit}: ${checkpoints.map(({ step, path }) => `${step} ${basename(path)}`).join(', ')}`

  it('orders by the number in the names, not by the letters', async () => {
    const trajectory = await open({ 'step-10.safetensors': plain, 'step-2.safetensors': plain })
    expect(summary(trajectory)).to.equal('step: 2 step-2.safetensors, 10 step-10.safetensors')
    expect(trajectory.format).to.equal('safetensors')
  })

  it('prefers the counter inside the files to their names', async () => {
    const trajectory = await open({
      'a-1.pt': torchCheckpoint(1, ['global_step', 300]),
      'a-2.pt': torchCheckpoint(2, ['global_step', 200]),
    })
    expect(summary(trajectory)).to.equal('step: 200 a-2.pt, 300 a-1.pt')
    expect(trajectory.format).to.equal('PyTorch')
    expect(trajectory.notes).to.deep.equal(["steps: from 'global_step' inside the files"])
  })

  it('keeps one description of tensors that lie alike in all files, and their own where they do not', async () => {
    const files = {
      'step-1.safetensors': vectors({ v: [1, 2], w: [3] }),
      'step-2.safetensors': vectors({ v: [4, 5], w: [6] }),
      'step-3.safetensors': vectors({ w: [9], v: [7, 8] }),
    }
    const { checkpoints } = await open(files)
    expect(checkpoints[0]!.tensors).to.equal(checkpoints[1]!.tensors)
    const values = await Promise.all(
      checkpoints.map(async (checkpoint) => [...(await checkpoint.read('v')).data]),
    )
    expect(values).to.deep.equal([
      [1, 2],
      [4, 5],
      [7, 8],
    ])
  })

  it('reads the counter of safetensors from its metadata', async () => {
    const trajectory = await open({
      'x.safetensors': vectors({ w: [1] }, { iteration: '7' }),
      'y.safetensors': vectors({ w: [1] }, { iteration: '5' }),
    })
    expect(summary(trajectory)).to.equal('iteration: 5 y.safetensors, 7 x.safetensors')
  })

  it('falls to the names where only some files hold a counter, and says so', async () => {
    const trajectory = await open({
      'epoch-1.pt': torchCheckpoint(1, ['step', 50]),
      'epoch-2.pt': torchCheckpoint(2),
    })
    expect(summary(trajectory)).to.equal('epoch: 1 epoch-1.pt, 2 epoch-2.pt')
    expect(trajectory.notes[0]).to.match(
      /^steps: from 'step' inside the files not used, since .*epoch-2\.pt has none$/,
    )
  })

  it('counts the steps in the names where several files carry one epoch', async () => {
    const trajectory = await open({
      'epoch=0-step=4.ckpt': torchCheckpoint(1, ['epoch', 0]),
      'epoch=0-step=8.ckpt': torchCheckpoint(2, ['epoch', 0]),
    })
    expect(summary(trajectory)).to.equal('step: 4 epoch=0-step=4.ckpt, 8 epoch=0-step=8.ckpt')
  })

  it('goes by epoch and count where the count starts anew with every epoch', async () => {
    const inNames = await open({
      'epoch1_step0.pt': torchCheckpoint(3),
      'epoch0_step10.pt': torchCheckpoint(2),
      'epoch0_step0.pt': torchCheckpoint(1),
    })
    const order = 'save: 0 epoch0_step0.pt, 1 epoch0_step10.pt, 2 epoch1_step0.pt'
    expect(summary(inNames)).to.equal(order)
    expect(inNames.notes).to.deep.equal([
      'steps: from the epoch in the file names, and in each from the step in the file names; numbered in this order',
    ])
  })

  it('tells two series in one folder from two saves of one step', async () => {
    const error = await rejection(
      open({
        'netG_epoch_0.pth': torchCheckpoint(1),
        'netD_epoch_0.pth': torchCheckpoint(2),
        'netG_epoch_1.pth': torchCheckpoint(3),
        'netD_epoch_1.pth': torchCheckpoint(4),
      }),
    )
    expect(error.message).to.match(
      /both record epoch 0 .*; the folder holds 2 series \(netD_epoch_\*\.pth, netG_epoch_\*\.pth\): move each to a folder of its own$/,
    )
  })

  it('leaves out a final file without a step that repeats the last checkpoint', async () => {
    const trajectory = await open({
      'final_model.pt': torchCheckpoint(2),
      'step1.pt': torchCheckpoint(1),
      'step2.pt': torchCheckpoint(2),
    })
    expect(summary(trajectory)).to.equal('step: 1 step1.pt, 2 step2.pt')
    expect(trajectory.leftOut.map(({ reason }) => reason)).to.deep.equal([
      'the same numbers as step2.pt once more',
    ])
  })

  it('does not pass over a step whose link leads nowhere', async () => {
    const folder = folderOf({ 'step1.pt': torchCheckpoint(1), 'step2.pt': torchCheckpoint(2) })
    symlinkSync('/nowhere/step3.pt', join(folder, 'step3.pt'))
    const error = await rejection(openTrajectory(folder))
    expect(error).to.be.instanceOf(CheckpointError)
    expect(error.message).to.match(/step3\.pt: a link whose checkpoint is not there/)
  })

  it('numbers the saves where names hold no numbers', async () => {
    const trajectory = await open({ 'b.safetensors': plain, 'a.safetensors': plain })
    expect(summary(trajectory)).to.equal('save: 0 a.safetensors, 1 b.safetensors')
    expect(trajectory.notes).to.deep.equal(['steps: not recorded; ordered by file name'])
  })

  it('leaves out aliases, trainer states and files that are no checkpoints, each with its reason', async () => {
    const trajectory = await open({
      'step1.pt': torchCheckpoint(1),
      'step2.pt': torchCheckpoint(2),
      'last.pt': torchCheckpoint(2),
      'optimizer.pt': 'x',
      'model_best.pth.tar': 'x',
      'checkpoint_last.pt': 'x',
      'last-v1.ckpt': 'x',
      'training_args.bin': 'x',
      'config.json': '{}',
      'rng_state_0.pth': 'x',
    })
    expect(trajectory.checkpoints).to.have.length(2)
    const reasons = Object.fromEntries(trajectory.leftOut.map(({ path, reason }) => [basename(path), reason]))
    expect(reasons).to.deep.equal({
      'last.pt': 'another name of a checkpoint (last, best or latest)',
      'model_best.pth.tar': 'another name of a checkpoint (last, best or latest)',
      'checkpoint_last.pt': 'another name of a checkpoint (last, best or latest)',
      'last-v1.ckpt': 'another name of a checkpoint (last, best or latest)',
      'optimizer.pt': 'state of the trainer, not weights',
      'training_args.bin': 'state of the trainer, not weights',
      'rng_state_0.pth': 'state of the trainer, not weights',
      'config.json': 'not a checkpoint file',
    })
  })

  it('opens a file that holds many saves', async () => {
    const trajectory = await openTrajectory('fixtures/trajectory/lca.h5')
    expect(trajectory.stepUnit).to.equal('save')
    expect(trajectory.checkpoints.map(({ step }) => step)).to.deep.equal([0, 1, 2])
  })

  it('keeps the steps of a range with a stride, counted from its start', async () => {
    const files = Object.fromEntries([1, 11, 21, 31, 36].map((step) => [`step${step}.safetensors`, plain]))
    const steps = async (range: string): Promise<number[]> =>
      (await open(files, range)).checkpoints.map(({ step }) => step)
    expect(await steps('11:31')).to.deep.equal([11, 21, 31])
    expect(await steps('::20')).to.deep.equal([1, 21])
    expect(await steps('1::5')).to.deep.equal([1, 11, 21, 31, 36])
    expect(await steps(':21:10')).to.deep.equal([1, 11, 21])
  })

  it('answers a range that keeps one checkpoint with the steps there are', async () => {
    const error = await rejection(open({ 'step1.safetensors': plain, 'step2.safetensors': plain }, '2:9'))
    expect(error).to.be.instanceOf(UsageError)
    expect(error.message).to.contain(
      '--steps keeps 1 of 2 checkpoints, at least two are needed; recorded are steps 1, 2',
    )
  })

  it('opens a thousand checkpoints within a second or two', async () => {
    const files = Object.fromEntries(
      Array.from({ length: 1000 }, (_, step) => [`step-${step}.pt`, torchCheckpoint(step)]),
    )
    const folder = folderOf(files)
    const start = performance.now()
    const { checkpoints } = await openTrajectory(folder)
    expect(checkpoints.map(({ step }) => step)).to.deep.equal(Array.from({ length: 1000 }, (_, step) => step))
    expect((await checkpoints[700]!.read('w')).data[0]).to.equal(700)
    expect(performance.now() - start).to.be.below(10_000)
  })

  const BAD: readonly {
    what: string
    files: Record<string, Uint8Array | string>
    error: new (message: string) => Error
    message: RegExp
  }[] = [
    {
      what: 'one checkpoint',
      files: { 'step1.safetensors': plain, 'notes.txt': '' },
      error: CheckpointError,
      message:
        /at least two checkpoints, found 1: .*step1\.safetensors; left out 1, such as notes\.txt \(not a checkpoint file\)$/,
    },
    {
      what: 'no checkpoint',
      files: { 'notes.txt': '' },
      error: CheckpointError,
      message: /no checkpoints were found; .*formats read: safetensors/,
    },
    {
      what: 'two files of one step',
      files: { 'a-step=4.safetensors': plain, 'a-step=4-v1.safetensors': vectors({ w: [3, 4] }) },
      error: CheckpointError,
      message: /a-step=4(-v1)?\.safetensors and .*a-step=4(-v1)?\.safetensors both record step 4/,
    },
    {
      what: 'two formats',
      files: { 'step1.safetensors': plain, 'step2.pt': torchCheckpoint(1) },
      error: CheckpointError,
      message: /two formats mixed: step1\.safetensors is safetensors, step2\.pt is PyTorch/,
    },
    {
      what: 'a shape that changes',
      files: { 'step1.safetensors': plain, 'step2.safetensors': vectors({ w: [1, 2, 3] }) },
      error: CheckpointError,
      message: /^step 2 \(.*step2\.safetensors\): tensor w is 3, but 2 in step 1 \(.*step1\.safetensors\)/,
    },
    {
      what: 'a tensor that disappears',
      files: { 'step1.safetensors': vectors({ w: [1], b: [1] }), 'step2.safetensors': vectors({ w: [1] }) },
      error: CheckpointError,
      message: /^step 2 .*: tensor b is missing, which step 1 .* holds/,
    },
    {
      what: 'a tensor that appears',
      files: { 'step1.safetensors': vectors({ w: [1] }), 'step2.safetensors': vectors({ w: [1], b: [1] }) },
      error: CheckpointError,
      message: /^step 2 .*: holds tensor b, which step 1 .* does not/,
    },
    {
      what: 'a truncated file',
      files: { 'step1.safetensors': plain, 'step2.safetensors': plain.subarray(0, plain.length - 1) },
      error: CheckpointError,
      message: /step2\.safetensors: truncated/,
    },
    {
      what: 'a checkpoint file of unknown content',
      files: { 'step1.pt': 'hello world', 'step2.pt': torchCheckpoint(2) },
      error: CheckpointFormatError,
      message: /step1\.pt: its first bytes are of no format that is read/,
    },
  ]
  for (const { what, files, error, message } of BAD) {
    it(`refuses a folder with ${what}`, async () => {
      const thrown = await rejection(open(files))
      expect(thrown).to.be.instanceOf(error)
      expect(thrown.message).to.match(message)
    })
  }

  it('takes a path that is not there for a mistake in usage', async () => {
    expect(await rejection(openTrajectory(file('nowhere')))).to.be.instanceOf(UsageError)
  })

  it('says what a file without checkpoints holds', async () => {
    const error = await rejection(openTrajectory('fixtures/data/images.h5'))
    expect(error).to.be.instanceOf(CheckpointFormatError)
    expect(error.message).to.match(
      /HDF5 without the dataset 'all_weights' .* weights of Keras \(datasets present: big, group\/inside, half, images/,
    )
  })
})
