import { expect } from 'chai'

import { CheckpointError, CheckpointFormatError } from '../../src/errors.js'
import type { Save, WeightKind } from '../../src/trajectory/formats/format.js'
import { pytorch } from '../../src/trajectory/formats/pytorch.js'
import { useTempFolder } from '../io/temp-folder.js'
import { rejection } from '../support/rejection.js'
import { op, pickle, tensorOp, torchFile } from './write-checkpoints.js'

/** A dictionary of a pickle: nested dictionaries, numbers, and what is already an operation. */
interface Tree {
  readonly [key: string]: Tree | number | Buffer
}

function treeOp(tree: Tree): Buffer {
  return op.dict(...Object.entries(tree).flatMap(([key, value]) => [op.text(key), valueOp(value)]))
}

function valueOp(value: Tree | number | Buffer): Buffer {
  if (Buffer.isBuffer(value)) return value
  return typeof value === 'number' ? op.int(value) : treeOp(value)
}

/** The storages of every file here: `raw` is [1, 1], `ema` is [2, 2], `other` is [3, 3]. */
const STORAGES = Object.fromEntries(
  [1, 2, 3].map((value) => [String(value), new Uint8Array(Float32Array.of(value, value).buffer)]),
)
const [raw, ema, other] = [1, 2, 3].map((key) => tensorOp([2], [1], { key: String(key) })) as [
  Buffer,
  Buffer,
  Buffer,
]
/** A single number, 3. */
const one = tensorOp([], [], { key: '3', held: 2 })
const object = (type: string): Buffer => {
  const dot = type.lastIndexOf('.')
  return Buffer.concat([op.global(type.slice(0, dot), type.slice(dot + 1)), op.tuple(), Buffer.from([0x81])])
}
const list = (...items: readonly Buffer[]): Buffer =>
  Buffer.concat([Buffer.from(']('), ...items, Buffer.from('e')])

describe("layouts of trainers' files", () => {
  const file = useTempFolder()

  const open = async (tree: Tree | Buffer, weights: WeightKind = 'raw'): Promise<Save> => {
    const bytes = torchFile(pickle(Buffer.isBuffer(tree) ? tree : treeOp(tree)), STORAGES)
    const opened = await pytorch.open(file('step-1.pt', bytes), { weights })
    if ('reason' in opened) throw new Error(opened.reason)
    return opened.saves[0]!
  }
  const content = async (save: Save): Promise<Record<string, number>> =>
    Object.fromEntries(
      await Promise.all(
        [...save.tensors.keys()].map(async (name) => [name, (await save.read(name)).data[0]!] as const),
      ),
    )

  const RAW: readonly [writer: string, tree: Tree][] = [
    ['a bare state_dict', { w: raw }],
    ['Lightning', { state_dict: { w: raw }, optimizer_states: list(), global_step: 1 }],
    ['torch.save of a tutorial', { model_state_dict: { w: raw }, optimizer_state_dict: {} }],
    ['nanoGPT', { model: { w: raw }, model_args: { n_layer: 1 }, iter_num: 1 }],
    ['fairseq', { args: object('argparse.Namespace'), model: { w: raw }, criterion: {} }],
    ['Composer', { state: { model: { w: raw }, optimizers: {} }, rng: list() }],
    ['DeepSpeed', { module: { w: raw }, optimizer: { state: {} }, global_steps: 1 }],
    ['a wrapper in a trainer', { model: { state_dict: { w: raw } } }],
    ['BasicSR', { params: { w: raw }, params_ema: { w: ema } }],
    ['timm', { state_dict: { w: raw }, state_dict_ema: { w: ema } }],
    ['any one network', { policy: { w: raw }, optimizer: { state: {} }, loss: raw }],
    ['a network beside its average', { encoder: { w: raw }, encoder_ema: { w: ema } }],
    ['extra state of a module', { model: { w: raw, 'norm._extra_state': object('io.BytesIO') } }],
    ["Lightning's averaging", { state_dict: { w: ema }, current_model_state: { w: raw } }],
    [
      "MMEngine's averaging, which swaps the two",
      {
        meta: { mmengine_version: op.text('0.10') },
        state_dict: { w: ema },
        ema_state_dict: { 'module.w': raw, steps: one },
      },
    ],
    ['latent diffusion', { state_dict: { 'model.w': raw, 'model_ema.w': ema, 'model_ema.decay': other } }],
  ]
  for (const [writer, tree] of RAW) {
    it(`give the raw weights of ${writer}`, async () => {
      const values = await content(await open(tree))
      expect(Object.values(values)).to.deep.equal([1])
      expect(Object.keys(values)[0]).to.match(/^(?:model\.)?w$/)
    })
  }

  const EMA: readonly [writer: string, tree: Tree][] = [
    ['timm', { state_dict: { w: raw }, state_dict_ema: { w: ema } }],
    ['torchvision, with its count', { model: { w: raw }, model_ema: { 'module.w': ema, n_averaged: one } }],
    ['fairseq', { model: { w: raw }, extra_state: { ema: { w: ema } } }],
    ['BasicSR', { params: { w: raw }, params_ema: { w: ema } }],
    [
      'ema-pytorch',
      { model: { w: raw }, ema: { 'online_model.w': raw, 'ema_model.w': ema, initted: one, step: one } },
    ],
    ['a shadow of timm and others', { model: { w: raw }, ema: { decay: one, shadow: { w: ema } } }],
    ["Lightning's averaging", { state_dict: { w: ema }, current_model_state: { w: raw } }],
    [
      "MMEngine's averaging",
      {
        meta: { mmengine_version: op.text('0.10') },
        state_dict: { w: ema },
        ema_state_dict: { 'module.w': raw, steps: one },
      },
    ],
  ]
  for (const [writer, tree] of EMA) {
    it(`give the average of ${writer}, under the network's own names`, async () => {
      expect(await content(await open(tree, 'ema'))).to.deep.equal({ w: 2 })
    })
  }

  it('give the average among the weights of latent diffusion under the names of those', async () => {
    const state: Tree = { 'model.net.w': raw, 'model_ema.netw': ema, 'model_ema.decay': one, 'vae.w': other }
    expect(await content(await open({ state_dict: state }, 'ema'))).to.deep.equal({
      'model.net.w': 2,
      'vae.w': 3,
    })
    expect(await content(await open({ state_dict: state }))).to.deep.equal({ 'model.net.w': 1, 'vae.w': 3 })
  })

  it('without an average say what there is when one is asked for', async () => {
    const error = await rejection(open({ model: { w: raw } }, 'ema'))
    expect(error).to.be.instanceOf(CheckpointError)
    expect(error.message).to.match(
      /no average of the weights \(EMA\) was found: it holds model only; .*model_ema/,
    )
  })

  const timestamp = (entries: Tree): Tree => ({ state: { model: { w: raw }, timestamp: entries } })
  const COUNTED: readonly [writer: string, tree: Tree, counters: [string, number][]][] = [
    ['DeepSpeed', { module: { w: raw }, global_steps: 7 }, [['global_steps', 7]]],
    ['Composer', timestamp({ batch: 7 }), [['state.timestamp.batch', 7]]],
    ['Composer, a time', timestamp({ batch: { value: 7 } }), [['state.timestamp.batch', 7]]],
    ['Composer, nested', timestamp({ Timestamp: { batch: 7 } }), [['state.timestamp.batch', 7]]],
    [
      'fairseq, whose last optimizer counts',
      { model: { w: raw }, optimizer_history: list(treeOp({ num_updates: 1 }), treeOp({ num_updates: 7 })) },
      [['optimizer_history.num_updates', 7]],
    ],
    [
      'MMEngine',
      { state_dict: { w: raw }, meta: { iter: 7, epoch: 2 } },
      [
        ['meta.iter', 7],
        ['meta.epoch', 2],
      ],
    ],
    ['a tensor of one element', { model: { w: raw }, step: one }, [['step', 3]]],
  ]
  for (const [writer, tree, counters] of COUNTED) {
    it(`tell the progress of ${writer}`, async () => {
      expect([...(await open(tree)).counters]).to.deep.equal(counters)
    })
  }

  it('are read with the networks that they hold, each under its key', async () => {
    const save = await open({ generator: { w: raw }, discriminator: { w: other }, ema: { w: ema }, epoch: 1 })
    expect(await content(save)).to.deep.equal({ 'generator.w': 1, 'discriminator.w': 3 })
  })

  it('are no checkpoints where they hold an optimizer alone, or numbers', async () => {
    const optimizer = treeOp({ state: { w: { momentum_buffer: raw } }, param_groups: list() })
    for (const [name, content, reason] of [
      ['optG_1.pth', optimizer, 'state of an optimizer, not weights'],
      ['state.pt', treeOp({ epoch: 3, loss: one }), 'holds no weights'],
    ] as const)
      expect(await pytorch.open(file(name, torchFile(pickle(content), STORAGES)))).to.deep.equal({ reason })
  })

  const REFUSED: readonly [what: string, tree: Tree | Buffer, message: RegExp][] = [
    [
      'a whole pickled module',
      object('net.Model'),
      /refused: its pickle needs net\.Model, .*model\.state_dict\(\)/,
    ],
    [
      "ultralytics' pickled module",
      { model: object('ultralytics.nn.tasks.DetectionModel'), epoch: 1 },
      /DetectionModel/,
    ],
    [
      'TorchScript',
      object('__torch__.Net'),
      /torch\.save\(torch\.jit\.load\("step-1\.pt"\)\.state_dict\(\), "step-1\.pt"\)/,
    ],
    [
      'a sparse tensor among others',
      { model: { w: raw, s: object('torch._utils._rebuild_sparse_tensor') } },
      /_rebuild_sparse/,
    ],
    [
      'networks whose tensors share a name',
      { a: { 'b.w': raw }, 'a.b': { w: other }, epoch: 1 },
      /tensors can't be told apart by name: a, a\.b/,
    ],
    [
      'an average alone',
      { params_ema: { w: ema } },
      /an average \(EMA\) is there under params_ema: --weights ema takes it/,
    ],
    ['no dictionary', list(raw), /the file holds no dictionary/],
    ['a command', { model: { w: raw }, hook: object('subprocess.Popen') }, /needs subprocess\.Popen/],
    ['code', { model: { w: raw }, hook: object('builtins.exec') }, /needs builtins\.exec/],
  ]
  for (const [what, tree, message] of REFUSED) {
    it(`are refused with the remedy where they hold ${what}`, async () => {
      const error = await rejection(open(tree))
      expect(error).to.be.instanceOf(CheckpointFormatError)
      expect(error.message).to.match(message)
    })
  }

  it('that ask for memory beyond their bytes are refused', async () => {
    const dictionaries = Buffer.alloc(4 * 2 ** 20, '}')
    const error = await rejection(open(Buffer.concat([Buffer.from('('), dictionaries, Buffer.from('t')])))
    expect(error).to.be.instanceOf(CheckpointError)
    expect(error.message).to.match(/it holds more than its bytes can honestly say/)
  })
})
