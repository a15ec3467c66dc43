import { mkdirSync, symlinkSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { expect } from 'chai'

import { CheckpointError, CheckpointFormatError } from '../../src/errors.js'
import type { Trajectory } from '../../src/trajectory/checkpoint.js'
import type { WeightKind } from '../../src/trajectory/formats/format.js'
import { openTrajectory } from '../../src/trajectory/open-trajectory.js'
import { useTempFolder } from '../io/temp-folder.js'
import { rejection } from '../support/rejection.js'
import { op, pickle, tensorOp, torchFile, vectors } from './write-checkpoints.js'

type Files = Readonly<Record<string, Uint8Array | string>>

/** A torch file of `w` = [value], and of counters beside it. */
function torch(value: number, counters: Readonly<Record<string, number>> = {}, name = 'w'): Buffer {
  const counts = Object.entries(counters).flatMap(([key, count]) => [op.text(key), op.int(count)])
  const state = op.dict(op.text(name), tensorOp([1], [1]))
  const storage = new Uint8Array(Float32Array.of(value).buffer)
  return torchFile(pickle(op.dict(op.text('model'), state, ...counts)), { '0': storage })
}

describe('a folder for each checkpoint', () => {
  const file = useTempFolder()
  let runs = 0

  /** Writes files by their paths within a fresh folder, and gives the folder. */
  function run(files: Files): string {
    const folder = `run-${runs++}`
    mkdirSync(file(folder))
    for (const [path, content] of Object.entries(files)) {
      mkdirSync(dirname(file(`${folder}/${path}`)), { recursive: true })
      file(`${folder}/${path}`, content)
    }
    return file(folder)
  }
  const summary = ({ stepUnit, checkpoints }: Trajectory): string =>
    `${stepUnit}: ${checkpoints.map(({ step, path }) => `${step} ${basename(path)}`).join(', ')}`
  const values = async (trajectory: Trajectory, name = 'w'): Promise<(number | undefined)[]> =>
    Promise.all(trajectory.checkpoints.map(async (one) => (await one.read(name)).data[0]))
  const reasons = ({ leftOut }: Trajectory): Record<string, string> =>
    Object.fromEntries(leftOut.map(({ path, reason }) => [basename(path), reason]))

  const READ: readonly [writer: string, files: Files, steps: string][] = [
    [
      'OLMo, unsharded',
      {
        'step0-unsharded/model.pt': torch(1),
        'step0-unsharded/optim.pt': 'x',
        'step0-unsharded/train.pt': 'x',
        'step10-unsharded/model.pt': torch(2),
        'step10-unsharded/config.yaml': 'x',
      },
      'step: 0 model.pt, 10 model.pt',
    ],
    [
      'DeepSpeed without ZeRO, and with its optimizer in shards',
      {
        'global_step2/mp_rank_00_model_states.pt': torch(1),
        'global_step4/mp_rank_00_model_states.pt': torch(2),
        'global_step4/bf16_zero_pp_rank_0_mp_rank_00_optim_states.pt': 'x',
        latest: 'global_step4',
      },
      'step: 2 mp_rank_00_model_states.pt, 4 mp_rank_00_model_states.pt',
    ],
    [
      'the Hugging Face Trainer under DeepSpeed, a folder deeper',
      {
        'checkpoint-2/global_step2/mp_rank_00_model_states.pt': torch(1),
        'checkpoint-4/global_step4/mp_rank_00_model_states.pt': torch(2),
        'checkpoint-2/trainer_state.json': '{"global_step": 20}',
        'checkpoint-4/trainer_state.json': '{"global_step": 40}',
      },
      'step: 20 mp_rank_00_model_states.pt, 40 mp_rank_00_model_states.pt',
    ],
    [
      'PEFT',
      {
        'checkpoint-5/adapter_model.safetensors': vectors({ w: [1] }),
        'checkpoint-5/optimizer.pt': 'x',
        'checkpoint-10/adapter_model.safetensors': vectors({ w: [2] }),
        'adapter_model.safetensors': vectors({ w: [9] }),
      },
      'step: 5 adapter_model.safetensors, 10 adapter_model.safetensors',
    ],
    [
      'diffusers',
      {
        'checkpoint-5/diffusion_pytorch_model.safetensors': vectors({ w: [1] }),
        'checkpoint-10/diffusion_pytorch_model.safetensors': vectors({ w: [2] }),
      },
      'step: 5 checkpoint-5, 10 checkpoint-10',
    ],
    [
      'Llama, consolidated',
      { '5/consolidated.00.pth': torch(1), '10/consolidated.00.pth': torch(2) },
      'step: 5 consolidated.00.pth, 10 consolidated.00.pth',
    ],
    [
      'shards of pytorch_model.bin',
      Object.fromEntries(
        [1, 2].flatMap((step) => {
          const index = JSON.stringify({ weight_map: { w: 'pytorch_model-00001-of-00001.bin' } })
          return [
            [`checkpoint-${step}/pytorch_model-00001-of-00001.bin`, torch(step)],
            [`checkpoint-${step}/pytorch_model.bin.index.json`, index],
          ]
        }),
      ),
      'step: 1 checkpoint-1, 2 checkpoint-2',
    ],
  ]
  for (const [writer, files, steps] of READ) {
    it(`is read as ${writer} leaves it`, async () => {
      const trajectory = await openTrajectory(run(files))
      expect(summary(trajectory)).to.equal(steps)
      expect(await values(trajectory)).to.deep.equal([1, 2])
    })
  }

  it('is refused where two files may be the checkpoint, naming both', async () => {
    const path = run({
      'step1/a.pt': torch(1),
      'step1/b.pt': torch(1),
      'step2/a.pt': torch(2),
      'step2/b.pt': torch(2),
    })
    const error = await rejection(openTrajectory(path))
    expect(error).to.be.instanceOf(CheckpointError)
    expect(error.message).to.match(/step[12]: holds 2 files that may be the checkpoint: a\.pt, b\.pt/)
  })

  it('is refused where its file was cut off', async () => {
    const path = run({ 'step1/model.pt': torch(1), 'step2/model.pt': '' })
    expect((await rejection(openTrajectory(path))).message).to.match(/step2\/model\.pt: empty \(0 bytes\)/)
  })

  it('is not seen in folders whose names tell no step', async () => {
    const files = {
      'step1.pt': torch(1),
      'step2.pt': torch(2),
      'eval/model.pt': torch(9),
      'version_3/model.pt': torch(9),
    }
    const trajectory = await openTrajectory(run(files))
    expect(summary(trajectory)).to.equal('step: 1 step1.pt, 2 step2.pt')
    expect(reasons(trajectory)).to.deep.equal({
      eval: 'a folder that is no checkpoint',
      version_3: 'a folder that is no checkpoint',
    })
  })

  it('may be made of links that lead out of it, as in the cache of the Hugging Face Hub', async () => {
    const blobs = run({ a: torch(1), b: torch(2) })
    const path = run({})
    for (const [step, blob] of [
      ['1', 'a'],
      ['2', 'b'],
    ] as const) {
      mkdirSync(join(path, `step${step}`))
      symlinkSync(join(blobs, blob), join(path, `step${step}`, 'pytorch_model.bin'))
    }
    expect(await values(await openTrajectory(path))).to.deep.equal([1, 2])
  })

  for (const shard of [
    '../pytorch_model.bin',
    '/etc/pytorch_model.bin',
    '..\\x.bin',
    'c:x.bin',
    'x.pt',
    '.x.bin',
  ])
    it(`is refused where its index names the shard ${shard}`, async () => {
      const index = JSON.stringify({ weight_map: { w: shard } })
      const path = run({ 'step1/pytorch_model.bin': torch(1), 'step2/pytorch_model.bin.index.json': index })
      const error = await rejection(openTrajectory(path))
      expect(error).to.be.instanceOf(CheckpointError)
      expect(error.message).to.contain('which is no .bin file of this folder')
    })

  const CONVERTED: readonly [layout: string, files: Files, path: string, line: string][] = [
    [
      'torch.distributed.checkpoint',
      { 'step-1/.metadata': 'x', 'step-1/__0_0.distcp': 'x', 'step-2/.metadata': 'x' },
      'step-1',
      'python -m torch.distributed.checkpoint.format_utils dcp_to_torch "FOLDER" "FOLDER.pt"',
    ],
    [
      'DeepSpeed ZeRO',
      {
        'global_step1/zero_pp_rank_0_mp_rank_00_model_states.pt': 'x',
        'global_step1/mp_rank_00_model_states.pt': 'x',
      },
      'global_step1',
      '--tag global_step1',
    ],
    [
      'DeepSpeed ZeRO',
      {
        'checkpoint-1/global_step1/bf16_zero_pp_rank_0_mp_rank_00_optim_states.pt': 'x',
        'checkpoint-1/zero_to_fp32.py': 'x',
      },
      'checkpoint-1',
      'python "FOLDER/zero_to_fp32.py" "FOLDER" "FOLDER/global_step1-fp32" --tag global_step1',
    ],
    [
      'FSDP shards of the Hugging Face Trainer',
      { 'checkpoint-1/pytorch_model_fsdp_0/.metadata': 'x', 'checkpoint-1/trainer_state.json': '{}' },
      'checkpoint-1',
      'accelerate merge-weights "FOLDER/pytorch_model_fsdp_0" "FOLDER-merged"',
    ],
    [
      'Megatron',
      { 'iter_0000001/mp_rank_00_000/model_optim_rng.pt': 'x', 'latest_checkpointed_iteration.txt': '1' },
      'iter_0000001',
      'tools/checkpoint/convert.py --model-type GPT',
    ],
    [
      "Megatron's distributed checkpoint",
      { 'iter_0000001/common.pt': 'x', 'iter_0000001/__0_0.distcp': 'x', 'iter_0000001/.metadata': 'x' },
      'iter_0000001',
      'dcp_to_torch "FOLDER"',
    ],
    [
      'Orbax',
      { '10/_CHECKPOINT_METADATA': 'x', '10/default/_METADATA': 'x', '10/default/manifest.ocdbt': 'x' },
      '10',
      "ocp.PyTreeCheckpointer().restore('FOLDER/default')",
    ],
  ]
  for (const [layout, files, folder, line] of CONVERTED) {
    it(`is refused with the line that converts it: ${layout}, ${folder}`, async () => {
      const path = run(files)
      for (const named of [path, join(path, folder)]) {
        const error = await rejection(openTrajectory(named))
        expect(error).to.be.instanceOf(CheckpointFormatError)
        expect(error.message).to.contain(`is a checkpoint of ${layout}, which is not read`)
        expect(error.message).to.contain(line.replaceAll('FOLDER', join(path, folder)))
      }
    })
  }

  it('leaves a save that Orbax did not finish out', async () => {
    const path = run({
      '10.orbax-checkpoint-tmp-17/default/_METADATA': 'x',
      'step1.pt': torch(1),
      'step2.pt': torch(2),
    })
    const trajectory = await openTrajectory(path)
    expect(reasons(trajectory)['10.orbax-checkpoint-tmp-17']).to.equal('a save that was not finished')
  })

  it("opens the one folder below the run's folder that holds checkpoints, and says so", async () => {
    const path = run({
      'lightning_logs/version_0/checkpoints/epoch=0-step=1.ckpt': torch(1),
      'lightning_logs/version_0/checkpoints/epoch=0-step=2.ckpt': torch(2),
      'lightning_logs/version_0/hparams.yaml': 'x',
      'final.pt': torch(2),
      'train.npz': 'x',
    })
    const trajectory = await openTrajectory(path)
    expect(await values(trajectory)).to.deep.equal([1, 2])
    expect(trajectory.notes[0]).to.equal(
      `checkpoints: those in ${join(path, 'lightning_logs/version_0/checkpoints')}`,
    )
  })

  it("opens TensorFlow's and Flax' checkpoints below the run's folder", async () => {
    const path = run({ 'out/ckpt-1.index': 'x', 'out/ckpt-2.index': 'x' })
    const error = await rejection(openTrajectory(path))
    expect(error.message).to.contain(join(path, 'out/ckpt-1'))
  })

  it('passes over counters and metrics beside the weights of a step', async () => {
    const counters = torchFile(pickle(op.dict(op.text('epoch'), op.int(1))), {})
    const path = run({
      'epoch_1/model.pt': torch(1),
      'epoch_1/state.pt': counters,
      'epoch_2/model.pt': torch(2),
      'epoch_2/state.pt': counters,
    })
    expect(summary(await openTrajectory(path))).to.equal('epoch: 1 model.pt, 2 model.pt')
  })

  it('names the folders below that hold checkpoints where there are several', async () => {
    const path = run({
      'version_0/step1.pt': torch(1),
      'version_0/step2.pt': torch(2),
      'version_10/step1.pt': torch(1),
      'version_10/step2.pt': torch(2),
    })
    const error = await rejection(openTrajectory(path))
    expect(error).to.be.instanceOf(CheckpointError)
    expect(error.message).to.contain(`name one of ${join(path, 'version_0')}, ${join(path, 'version_10')}`)
  })

  describe('and files of averages', () => {
    const files: Files = {
      'model000010.pt': torch(1),
      'model000020.pt': torch(2),
      'ema_0.9999_000010.pt': torch(11),
      'ema_0.9999_000020.pt': torch(12),
      'opt000020.pt': 'x',
    }
    const CASES: readonly [weights: WeightKind, expected: number[], leftOut: string, reason: RegExp][] = [
      ['raw', [1, 2], 'ema_0.9999_000010.pt', /average of the weights \(EMA\), which --weights ema takes/],
      ['ema', [11, 12], 'model000010.pt', /as the optimizer left them, beside files of their average/],
    ]
    for (const [weights, expected, leftOut, reason] of CASES) {
      it(`give the ${weights} weights when these are asked for`, async () => {
        const trajectory = await openTrajectory(run(files), { weights })
        expect(await values(trajectory)).to.deep.equal(expected)
        expect(trajectory.checkpoints.map(({ step }) => step)).to.deep.equal([10, 20])
        expect(reasons(trajectory)[leftOut]).to.match(reason)
      })
    }

    it('are chosen in a folder for each checkpoint too', async () => {
      const pair = (value: number): Files => ({ 'model.pt': torch(value), 'model_ema.pt': torch(10 + value) })
      const path = run(
        Object.fromEntries(
          [1, 2].flatMap((step) =>
            Object.entries(pair(step)).map(([name, content]) => [`step${step}/${name}`, content]),
          ),
        ),
      )
      expect(await values(await openTrajectory(path))).to.deep.equal([1, 2])
      expect(await values(await openTrajectory(path, { weights: 'ema' }))).to.deep.equal([11, 12])
    })

    it('that are all there is are named when the raw weights are asked for', async () => {
      const path = run({ 'a-1-EMA.ckpt': torch(1), 'a-2-EMA.ckpt': torch(2) })
      expect((await rejection(openTrajectory(path))).message).to.match(
        /no checkpoints were found; .*--weights ema/,
      )
      expect(await values(await openTrajectory(path, { weights: 'ema' }))).to.deep.equal([1, 2])
    })
  })
})

describe('the order of checkpoints', () => {
  const file = useTempFolder()
  let runs = 0

  const open = (files: Files): Promise<Trajectory> => {
    const folder = `run-${runs++}`
    mkdirSync(file(folder))
    for (const [name, content] of Object.entries(files)) file(`${folder}/${name}`, content)
    return openTrajectory(file(folder))
  }
  const steps = ({ stepUnit, checkpoints }: Trajectory): string =>
    `${stepUnit} ${checkpoints.map(({ step }) => step).join(' ')}`

  it("counts a trainer's updates before its epochs, wherever they are", async () => {
    const trajectory = await open({
      'checkpoint1.pt': torch(1, { epoch: 1, global_steps: 100 }),
      'checkpoint2.pt': torch(2, { epoch: 2, global_steps: 250 }),
    })
    expect(steps(trajectory)).to.equal('step 100 250')
    expect(trajectory.notes).to.deep.equal(["steps: from 'global_steps' inside the files"])
  })

  it('passes over a counter that starts anew with every epoch, and says so', async () => {
    const trajectory = await open({
      'epoch_1.pt': torch(1, { iter: 40 }),
      'epoch_2.pt': torch(2, { iter: 40 }),
      'epoch_3.pt': torch(3, { iter: 39 }),
    })
    expect(steps(trajectory)).to.equal('epoch 1 2 3')
    expect(trajectory.notes).to.deep.equal([
      "steps: from 'iter' inside the files not used, since it repeats",
      'steps: from the epoch in the file names',
    ])
  })

  it('passes over a counter that nobody counted up', async () => {
    const files = { 'step1.pt': torch(1, { global_step: 0 }), 'step2.pt': torch(2, { global_step: 0 }) }
    expect(steps(await open(files))).to.equal('step 1 2')
  })

  it('does not take the number of an architecture for a step', async () => {
    const trajectory = await open({ '100_resnet50.pt': torch(2), '10_resnet50.pt': torch(1) })
    expect(steps(trajectory)).to.equal('save 0 1')
    expect(trajectory.checkpoints.map(({ path }) => basename(path))).to.deep.equal([
      '10_resnet50.pt',
      '100_resnet50.pt',
    ])
  })

  it('leaves out a file that holds the numbers of another of its step once more', async () => {
    const trajectory = await open({
      'epoch=0-step=1.ckpt': torch(1),
      'epoch=0-step=2.ckpt': torch(2),
      'epoch=0-step=2-v1.ckpt': torch(2),
    })
    expect(steps(trajectory)).to.equal('step 1 2')
    expect(trajectory.leftOut.map(({ path, reason }) => `${basename(path)}: ${reason}`)).to.deep.equal([
      'epoch=0-step=2-v1.ckpt: the same numbers as epoch=0-step=2.ckpt once more',
    ])
  })

  it('leaves out the final file beside the last numbered one (detectron2)', async () => {
    const trajectory = await open({
      'model_0000009.pth': torch(1, { iteration: 9 }),
      'model_0000019.pth': torch(2, { iteration: 19 }),
      'model_final.pth': torch(2, { iteration: 19 }),
    })
    expect(steps(trajectory)).to.equal('iteration 9 19')
  })

  it('refuses two files of one step that hold different numbers', async () => {
    const error = await rejection(
      open({ 'step=1.ckpt': torch(1), 'step=2.ckpt': torch(2), 'step=2-v1.ckpt': torch(3) }),
    )
    expect(error.message).to.match(/both record step 2/)
  })
})
