import { expect } from 'chai'

import { UsageError } from '../../src/errors.js'
import { checkFinite } from '../../src/trajectory/finite.js'
import { compareNaturally } from '../../src/listing.js'
import { isAverage, numbersInName, reasonToLeaveOut } from '../../src/trajectory/names.js'
import { parseStepRange } from '../../src/trajectory/step-range.js'

/** Names of files and folders as trainers write them, and the numbers in them. */
const NAMES: readonly [trainer: string, name: string, ReturnType<typeof numbersInName>][] = [
  ['docs/recording.md', 'step-000007.safetensors', { step: 7, number: 7 }],
  ['Lightning', 'epoch=1-step=4.ckpt', { epoch: 1, step: 4, number: 4 }],
  ['Lightning, a taken name', 'epoch=3-step=1000-v1.ckpt', { epoch: 3, step: 1000, number: 1000 }],
  ['Lightning, a metric', 'epoch=03-val_loss=0.23.ckpt', { epoch: 3, number: 3 }],
  [
    'Lightning, a metric before',
    'val_loss=0.23-epoch=3-step=1000.ckpt',
    { epoch: 3, step: 1000, number: 1000 },
  ],
  ['Lightning, no metric names', '03-0.23.ckpt', { number: 3 }],
  ['Lightning under DeepSpeed, a folder', 'epoch=0-step=10.ckpt', { epoch: 0, step: 10, number: 10 }],
  ['timm', 'checkpoint-5.pth.tar', { number: 5 }],
  ['Composer', 'ep1-ba42-rank0.pt', { epoch: 1, step: 42, number: 42 }],
  ['fairseq, an epoch', 'checkpoint12.pt', { epoch: 12, number: 12 }],
  ['fairseq, updates', 'checkpoint_3_1000.pt', { epoch: 3, step: 1000, number: 1000 }],
  ['DETR', 'checkpoint0099.pth', { epoch: 99, number: 99 }],
  ['MMEngine', 'epoch_12.pth', { epoch: 12, number: 12 }],
  ['MMEngine', 'iter_4000.pth', { iteration: 4000, number: 4000 }],
  ['detectron2', 'model_0004999.pth', { number: 4999 }],
  ['ultralytics', 'epoch10.pt', { epoch: 10, number: 10 }],
  ['guided-diffusion', 'model010000.pt', { number: 10000 }],
  ['guided-diffusion, an average', 'ema_0.9999_010000.pt', { number: 10000 }],
  ['Hugging Face Trainer, a folder', 'checkpoint-500', { number: 500 }],
  ['DeepSpeed, a folder', 'global_step300', { step: 300, number: 300 }],
  ['Megatron, a folder', 'iter_0001000', { iteration: 1000, number: 1000 }],
  ['Pythia, a revision', 'step143000', { step: 143000, number: 143000 }],
  ['OLMo, a folder', 'step1000-unsharded', { step: 1000, number: 1000 }],
  ['OLMo, a revision', 'step1000-tokens4B', { step: 1000, number: 1000 }],
  ['OLMo 2, a revision', 'stage1-step150-tokens630B', { step: 150, number: 150 }],
  ['Orbax, a folder', '10', { number: 10 }],
  ['Keras', 'weights.05-0.23.h5', { number: 5 }],
  ['by hand, thousands', 'model_10k.pt', { number: 10000 }],
  ['by hand, thousands', 'step_2.5k.pt', { step: 2500, number: 2500 }],
  ['by hand, a space', 'step 20.pt', { step: 20, number: 20 }],
  ['by hand, the number first', '1000steps.pt', { step: 1000, number: 1000 }],
  ['by hand, an architecture', 'resnet50_epoch_3.pth', { epoch: 3, number: 3 }],
  ['by hand, a power of ten', 'model_1e4.pt', { number: 10000 }],
  ['by hand, a power of ten', 'step5e+03.pt', { step: 5000, number: 5000 }],
  ['by hand, a learning rate', 'lr1e-3_20.pt', { number: 20 }],
  ['by hand, a date and time', 'model_20240501_120001.pth', {}],
  ['by hand, a date and time', '2024-05-01_12-00-07.pt', {}],
  ['by hand, a date, a time and a step', '20240501-120001_step7.pt', { step: 7, number: 7 }],
  ['by hand, a hash', 'model_a1e3.pt', { number: 3 }],
  ['no number', 'model.pt', {}],
]

/** Names that stand beside checkpoints, and why they are none. */
const LEFT_OUT: readonly [trainer: string, name: string, reason: RegExp][] = [
  ['Lightning', 'last.ckpt', /another name/],
  ['Lightning, a taken name', 'last-v1.ckpt', /another name/],
  ['ultralytics', 'best.pt', /another name/],
  ['by hand', 'latest.safetensors', /another name/],
  ['by hand', 'resnet50_best.pth', /another name/],
  ['timm', 'model_best.pth.tar', /another name/],
  ['timm', 'recovery-3-100.pth.tar', /to recover from/],
  ['fairseq', 'checkpoint_last.pt', /another name/],
  ['fairseq', 'checkpoint.best_loss_3.456.pt', /another name/],
  ['fairseq under FSDP', 'checkpoint12-shard0.pt', /a shard/],
  ['MMEngine', 'best_coco_bbox_mAP_epoch_12.pth', /another name/],
  ['MMEngine, a text', 'last_checkpoint', /another name/],
  ['Composer', 'latest-rank0.pt', /another name/],
  ['DeepSpeed, a text', 'latest', /another name/],
  ['Hugging Face', 'pytorch_model-00001-of-00002.bin', /a shard/],
  ['Hugging Face Trainer', 'optimizer.pt', /state of the trainer/],
  ['Hugging Face Trainer', 'rng_state_0.pth', /state of the trainer/],
  ['Hugging Face Trainer', 'training_args.bin', /state of the trainer/],
  ['Accelerate', 'random_states_0.pkl', /state of the trainer/],
  ['OLMo', 'optim.pt', /state of the trainer/],
  ['OLMo', 'train.pt', /state of the trainer/],
  ['guided-diffusion', 'opt010000.pt', /state of the trainer/],
  ['DeepSpeed', 'bf16_zero_pp_rank_0_mp_rank_00_optim_states.pt', /state of the trainer/],
  ['by hand', 'step_100_optimizer.pt', /state of the trainer/],
  ['Orbax', '10.orbax-checkpoint-tmp-17', /not finished/],
  ['by hand, renamed when whole', 'step5.pt.tmp', /not finished/],
  ['a download', 'step5.safetensors.part', /not finished/],
]

describe('names of checkpoint files', () => {
  for (const [trainer, name, numbers] of NAMES) {
    it(`${name} (${trainer}) holds ${JSON.stringify(numbers)}`, () => {
      expect(numbersInName(name)).to.deep.equal(numbers)
    })
  }

  for (const [trainer, name, reason] of LEFT_OUT) {
    it(`${name} (${trainer}) is no checkpoint of its own`, () => {
      expect(reasonToLeaveOut(name)).to.match(reason)
    })
  }

  for (const name of [
    'lastlayer-3.pt',
    'step-5.pt',
    'breast-10.pt',
    'final.pt',
    'opt-125m-step10.pt',
    'trained.pt',
    'train.npz',
  ]) {
    it(`${name} is a checkpoint of its own`, () => {
      expect(reasonToLeaveOut(name)).to.equal(undefined)
    })
  }

  it('tell averages of the weights from words that hold the same letters', () => {
    const averages = ['ema_0.9999_010000.pt', 'model_ema.pt', 'epoch=1-step=4-EMA.ckpt', 'swa_model.pth']
    expect(averages.filter(isAverage)).to.deep.equal(averages)
    expect(['semantic-3.pt', 'cinema.pt', 'schema_1.pt', 'swarm.pt'].filter(isAverage)).to.deep.equal([])
  })

  it('sorts numbers in names by their value', () => {
    expect(['e10', 'e9', 'e1'].sort(compareNaturally)).to.deep.equal(['e1', 'e9', 'e10'])
  })
})

describe('ranges of steps', () => {
  it('may leave any part open', () => {
    expect(parseStepRange('10:20:5')).to.deep.equal({ from: 10, to: 20, stride: 5 })
    expect(parseStepRange('10:')).to.deep.equal({ from: 10 })
    expect(parseStepRange('::5')).to.deep.equal({ stride: 5 })
  })

  for (const text of ['', '5', 'a:b', '1:2:3:4', '5:1', '1:5:0', '-1:5', '1.5:2', '0:99999999999999999999']) {
    it(`refuses '${text}'`, () => {
      expect(() => parseStepRange(text)).to.throw(UsageError, `--steps ${text}`)
    })
  }
})

describe('values that are not finite', () => {
  const checkpoint = { path: 'run/step-4.pt', step: 4 }

  it('are reported with their place, their number and what to do', () => {
    const data = new Float32Array(6)
    data[4] = NaN
    data[5] = -Infinity
    const check = (): void => {
      checkFinite({ dtype: 'float32', shape: [2, 3], data }, checkpoint, 'fc1.weight')
    }
    expect(check).to.throw(
      'step 4 (run/step-4.pt): tensor fc1.weight holds NaN at index [1, 1] (2 of 6 values are not finite); ' +
        '`--steps 0:3` replays what is before it',
    )
  })

  it('are not seen where all are numbers', () => {
    checkFinite({ dtype: 'float32', shape: [2], data: Float32Array.of(1, -1e38) }, checkpoint, 'w')
  })
})
