import { readFileSync } from 'node:fs'
import { expect } from 'chai'

import { CheckpointError, CheckpointFormatError, RetrogradError } from '../../src/errors.js'
import { openTrajectory } from '../../src/trajectory/open-trajectory.js'
import { pytorch } from '../../src/trajectory/formats/pytorch.js'
import { safetensors } from '../../src/trajectory/formats/safetensors.js'
import { useTempFolder } from '../io/temp-folder.js'
import { rejection } from '../support/rejection.js'
import { writeZip } from '../io/write-zip.js'
import { op, pickle, safetensorsFile, tensorOp, torchFile, vectors } from './write-checkpoints.js'

interface BadFile {
  readonly what: string
  readonly bytes: Buffer
  readonly error: typeof CheckpointError | typeof CheckpointFormatError
  readonly message: RegExp
}

const f32 = (shape: readonly number[], begin: number, end: number): object => ({
  dtype: 'F32',
  shape,
  data_offsets: [begin, end],
})
const eight = new Uint8Array(8)
const hugeHeader = Buffer.concat([Buffer.from([0, 0, 0, 0, 255, 0, 0, 0]), Buffer.from('{"a":1}')])

const BAD_SAFETENSORS: readonly BadFile[] = [
  {
    what: 'a header longer than any',
    bytes: hugeHeader,
    error: CheckpointError,
    message: /a header of 1095216660480 bytes; at most 100000000/,
  },
  {
    what: 'a header beyond the end',
    bytes: safetensorsFile({ a: f32([2], 0, 8) }).subarray(0, 20),
    error: CheckpointError,
    message: /truncated: bytes 8 to \d+ are needed, but the file has 20/,
  },
  {
    what: 'a header that is no JSON',
    bytes: safetensorsFile('{"a": nothing}'),
    error: CheckpointError,
    message: /the header is no JSON/,
  },
  {
    what: 'data that were cut off',
    bytes: safetensorsFile({ a: f32([4], 0, 16) }, eight),
    error: CheckpointError,
    message: /truncated: its header promises \d+ bytes, but the file has \d+/,
  },
  {
    what: 'data after the last tensor',
    bytes: safetensorsFile({ a: f32([1], 0, 4) }, eight),
    error: CheckpointError,
    message: /4 bytes after the last tensor/,
  },
  {
    what: 'tensors that overlap',
    bytes: safetensorsFile({ a: f32([2], 0, 8), b: f32([1], 4, 8) }, eight),
    error: CheckpointError,
    message: /tensor b overlaps the tensor before/,
  },
  {
    what: 'a hole between tensors',
    bytes: safetensorsFile({ a: f32([1], 4, 8) }, eight),
    error: CheckpointError,
    message: /tensor a leaves a gap/,
  },
  {
    what: 'a shape that does not fit its bytes',
    bytes: safetensorsFile({ a: f32([3], 0, 8) }, eight),
    error: CheckpointError,
    message: /tensor a: its shape \[3\] of F32 takes 12 bytes, its place has 8/,
  },
  {
    what: 'a shape beyond all numbers',
    bytes: safetensorsFile({ a: f32([2 ** 50, 2 ** 50], 0, 8) }, eight),
    error: CheckpointError,
    message: /tensor a: its shape/,
  },
  {
    what: 'a negative size',
    bytes: safetensorsFile({ a: f32([-2], 0, 8) }, eight),
    error: CheckpointError,
    message: /tensor a: shape\.0/,
  },
  {
    what: 'offsets that run backwards',
    bytes: safetensorsFile({ a: f32([0], 8, 4) }, eight),
    error: CheckpointError,
    message: /tensor a/,
  },
  {
    what: 'an element type from nowhere',
    bytes: safetensorsFile({ a: { dtype: 'F7', shape: [8], data_offsets: [0, 8] } }, eight),
    error: CheckpointError,
    message: /unknown element type F7/,
  },
  {
    what: 'an entry that is no tensor',
    bytes: safetensorsFile({ a: 5 }, eight),
    error: CheckpointError,
    message: /tensor a/,
  },
]

const weights = (...parts: readonly Buffer[]): Buffer => pickle(op.dict(op.text('w'), ...parts))
const two = { '0': new Uint8Array(16) }
const copies = Buffer.concat([
  op.bytes(0x5d),
  Buffer.from('('),
  ...Array.from({ length: 400 }, () => op.bytes(0x4e)),
  Buffer.from('e'),
  op.bytes(0x71, 9),
])
const copyAgain = Buffer.concat([
  op.global('builtins', 'set'),
  op.bytes(0x68, 9),
  op.bytes(0x85),
  Buffer.from('R'),
])

const BAD_TORCH: readonly BadFile[] = [
  {
    what: 'a call of a Python function',
    bytes: torchFile(pickle(op.call(op.global('builtins', 'eval'), op.tuple(op.text('1'))))),
    error: CheckpointFormatError,
    message: /needs builtins\.eval, which is no tensor or plain container/,
  },
  {
    what: 'a name with a path through an allowed module',
    bytes: torchFile(pickle(op.global('collections', 'OrderedDict.__class__'))),
    error: CheckpointFormatError,
    message: /needs collections\.OrderedDict\.__class__/,
  },
  {
    what: 'a call of a type that is only a name',
    bytes: torchFile(pickle(op.call(op.global('builtins', 'int'), op.tuple()))),
    error: CheckpointFormatError,
    message: /needs builtins\.int, which is no tensor/,
  },
  {
    what: 'attributes for an object',
    bytes: torchFile(pickle(op.bytes(0x5d), op.dict(), Buffer.from('b'))),
    error: CheckpointFormatError,
    message: /to set the attributes of an object/,
  },
  {
    what: 'a pickle that ends early',
    bytes: torchFile(pickle(op.text('abc')).subarray(0, 6)),
    error: CheckpointError,
    message: /corrupt pickle: it ends before its STOP/,
  },
  {
    what: 'text longer than the pickle',
    bytes: torchFile(pickle(op.bytes(0x58, 255, 255, 255, 255))),
    error: CheckpointError,
    message: /it ends before its STOP/,
  },
  {
    what: 'bytes of 2^63',
    bytes: torchFile(pickle(op.bytes(0x8e, 0, 0, 0, 0, 0, 0, 0, 128))),
    error: CheckpointError,
    message: /it ends before its STOP/,
  },
  {
    what: 'an operation on an empty stack',
    bytes: torchFile(pickle(Buffer.from('R'))),
    error: CheckpointError,
    message: /an operation without its operands/,
  },
  {
    what: 'a list that was never marked',
    bytes: torchFile(pickle(Buffer.from('t'))),
    error: CheckpointError,
    message: /an operation without its mark/,
  },
  {
    what: 'a memory that was never filled',
    bytes: torchFile(pickle(op.bytes(0x68, 3))),
    error: CheckpointError,
    message: /a value that was not stored before \(3\)/,
  },
  {
    what: 'a whole number of 64 KiB',
    bytes: torchFile(pickle(op.bytes(0x8b, 0, 0, 1, 0), Buffer.alloc(65536))),
    error: CheckpointError,
    message: /a whole number of 65536 bytes/,
  },
  {
    what: 'an operation of protocol 0',
    bytes: torchFile(pickle(Buffer.from('I1\n'))),
    error: CheckpointError,
    message: /opcode 0x49, which PyTorch does not write/,
  },
  {
    what: 'a protocol of the future',
    bytes: torchFile(op.bytes(0x80, 9, 0x2e)),
    error: CheckpointError,
    message: /protocol 9, newer than 5/,
  },
  {
    what: 'containers that copy a list again and again',
    bytes: torchFile(pickle(copies, ...Array.from({ length: 60 }, () => copyAgain))),
    error: CheckpointError,
    message: /copy each other beyond measure/,
  },
  {
    what: 'a storage that is not there',
    bytes: torchFile(weights(tensorOp([2], [1]))),
    error: CheckpointError,
    message: /tensor w: its data\/0 is missing/,
  },
  {
    what: 'a storage that escapes the archive',
    bytes: torchFile(weights(tensorOp([2], [1], { key: '../../etc/passwd' }))),
    error: CheckpointError,
    message: /is missing/,
  },
  {
    what: 'a storage that was cut off',
    bytes: torchFile(weights(tensorOp([8], [1])), two),
    error: CheckpointError,
    message: /truncated: tensor w needs 32 bytes, but archive\/data\/0 has 16/,
  },
  {
    what: 'a view beyond its storage',
    bytes: torchFile(weights(tensorOp([2, 2], [2, 1], { held: 4, offset: 1 })), two),
    error: CheckpointError,
    message: /tensor w reaches element 5, but its storage has 4/,
  },
  {
    what: 'strides beyond the storage',
    bytes: torchFile(weights(tensorOp([2, 2], [1000000000, 1], { held: 4 })), two),
    error: CheckpointError,
    message: /tensor w reaches element 1000000002/,
  },
  {
    what: 'a view that repeats one element 10^15 times',
    bytes: torchFile(weights(tensorOp([1e9, 1e6], [0, 0], { held: 4 })), two),
    error: CheckpointError,
    message: /repeats 4 stored elements/,
  },
  {
    what: 'a negative size',
    bytes: torchFile(weights(tensorOp([-2], [1], { held: 4 })), two),
    error: CheckpointError,
    message: /shape or strides are no whole numbers/,
  },
  {
    what: 'shape and strides of different lengths',
    bytes: torchFile(weights(tensorOp([2, 2], [1], { held: 4 })), two),
    error: CheckpointError,
    message: /a tensor of 2 axes with 1 strides/,
  },
  {
    what: 'no weights under any known key',
    bytes: torchFile(pickle(op.dict(op.text('net'), op.dict(), op.text('epoch'), op.int(1)))),
    error: CheckpointFormatError,
    message: /no weights found: .*state_dict, model_state_dict, model, .*keys present: net, epoch/,
  },
  {
    what: 'a list instead of a dictionary',
    bytes: torchFile(pickle(op.bytes(0x5d))),
    error: CheckpointFormatError,
    message: /the file holds no dictionary/,
  },
  {
    what: 'a zip archive of something else',
    bytes: writeZip([{ name: 'readme.txt', data: Buffer.from('x') }]),
    error: CheckpointFormatError,
    message: /a zip archive, but not one that torch\.save writes/,
  },
  {
    what: 'an archive that was cut off',
    bytes: torchFile(weights(tensorOp([2], [1])), two).subarray(0, 300),
    error: CheckpointError,
    message: /corrupt or truncated zip archive/,
  },
]

describe('bad checkpoints', () => {
  const file = useTempFolder()

  for (const [format, extension, cases] of [
    [safetensors, 'safetensors', BAD_SAFETENSORS],
    [pytorch, 'pt', BAD_TORCH],
  ] as const) {
    for (const [i, { what, bytes, error, message }] of cases.entries()) {
      it(`${extension}: ${what}`, async () => {
        const path = file(`bad-${i}.${extension}`, bytes)
        const thrown = await rejection(format.open(path))
        expect(thrown).to.be.instanceOf(error)
        expect(thrown.message).to.match(message).and.contain(path)
      })
    }
  }

  it('never pollutes prototypes by a key of a pickle or a header', async () => {
    const keys = [op.text('__proto__'), tensorOp([2], [1]), op.text('constructor'), tensorOp([2], [1])]
    const opened = await pytorch.open(file('proto.pt', torchFile(pickle(op.dict(...keys)), two)))
    expect('saves' in opened && [...opened.saves[0]!.tensors.keys()]).to.deep.equal([
      '__proto__',
      'constructor',
    ])
    await rejection(
      safetensors
        .open(file('proto.safetensors', safetensorsFile('{"__proto__": {"polluted": 1}}')))
        .then(() => Promise.reject(new Error('opened'))),
    )
    expect('polluted' in {}).to.equal(false)
  })

  it('reads a pickle nested 200,000 deep without running out of stack', async () => {
    const deep = Buffer.alloc(200_000, Buffer.from([0x85]))
    const path = file(
      'deep.pt',
      torchFile(
        pickle(op.dict(op.text('w'), tensorOp([2], [1]), op.text('x_extra_state'), op.int(1), deep)),
        two,
      ),
    )
    const opened = await pytorch.open(path)
    expect('saves' in opened && opened.saves[0]!.tensors.size).to.equal(1)
  })

  it('answers every damaged byte with an error of its own, or reads on', async () => {
    const sound = {
      pt: readFileSync('fixtures/trajectory/dtypes.pt'),
      safetensors: vectors({ a: [1, 2], b: [3] }),
    }
    let seed = 12345
    const random = (below: number): number => (seed = (seed * 1103515245 + 12345) % 2 ** 31) % below
    for (const [extension, bytes] of Object.entries(sound)) {
      for (let round = 0; round < 150; round++) {
        const damaged = Buffer.from(bytes)
        for (let i = 0; i < 3; i++) damaged[random(damaged.length)] = random(256)
        const path = file(`damaged.${extension}`, damaged)
        const outcome = await readAll(path).catch((error: unknown) => error)
        if (outcome !== undefined) expect(outcome, `round ${round}`).to.be.instanceOf(RetrogradError)
      }
    }
  })

  async function readAll(path: string): Promise<void> {
    const format = path.endsWith('.pt') ? pytorch : safetensors
    const opened = await format.open(path)
    if ('reason' in opened) return
    for (const save of opened.saves) for (const name of save.tensors.keys()) await save.read(name)
  }

  it('names a checkpoint of zero bytes as a save that was cut off', async () => {
    const error = await rejection(openTrajectory(file('step-1.pt', '')))
    expect(error).to.be.instanceOf(CheckpointError)
    expect(error.message).to.contain('empty (0 bytes)')
  })
})
