import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { expect } from 'chai'

import { measureMemory } from '../../scripts/fuzz/memory.js'
import { readAll, type ReaderKind } from '../../scripts/fuzz/read-all.js'
import { RetrogradError } from '../../src/errors.js'
import { useTempFolder } from '../io/temp-folder.js'
import { writeZip } from '../io/write-zip.js'
import { rejection } from '../support/rejection.js'
import { op, pickle, safetensorsFile, tensorOp, torchFile } from './write-checkpoints.js'
import { bundleEntry, bundleHeader, tableFile } from './write-table.js'

/** A small file that asks for much time or memory, and what it must be told. */
interface Bomb {
  readonly what: string
  /** The files, of which the first is opened. */
  readonly files: Readonly<Record<string, Uint8Array | string>>
  readonly kind?: ReaderKind
  readonly message: RegExp
}

const repeated = (count: number, make: (i: number) => Uint8Array): Buffer =>
  Buffer.concat(Array.from({ length: count }, (_, i) => make(i)))
const uint32 = (code: number, value: number): Buffer => {
  const bytes = Buffer.alloc(5, code)
  bytes.writeUInt32LE(value, 1)
  return bytes
}

/** Keys under which networks are looked for. */
const KEYS = ['state_dict', 'model', 'state', 'module', 'net', 'network', 'weights', 'params', 'ema']

/**
 * Dictionaries that name the one before under every key that is looked under: nine times nine ways lead to the first,
 * which has many entries.
 */
function laughs(): Buffer {
  const [put, get] = [0x72, 0x6a]
  const entries = repeated(20_000, (i) => Buffer.concat([op.text(`${i}_extra_state`), op.int(1)]))
  const levels = repeated(4, (i) =>
    Buffer.concat([
      Buffer.from('0}('),
      ...KEYS.flatMap((key) => [op.text(key), uint32(get, i)]),
      Buffer.from('u'),
      uint32(put, i + 1),
    ]),
  )
  return pickle(Buffer.from('}('), entries, Buffer.from('u'), uint32(put, 0), levels)
}

/** Lists of ten times the list before: 10^40 items, if they were counted. */
function laughingLists(): Buffer {
  const [put, get] = [0x72, 0x6a]
  const levels = repeated(40, (i) =>
    Buffer.concat([
      Buffer.from('0]('),
      repeated(10, () => uint32(get, i)),
      Buffer.from('e'),
      uint32(put, i + 1),
    ]),
  )
  return pickle(Buffer.from(']'), uint32(put, 0), levels)
}

/** Overlapping entries: two names for the bytes of one. */
function overlapping(): Buffer {
  const bytes = writeZip(
    ['a.npy', 'b.npy'].map((name) => ({ name, data: Buffer.alloc(1000), deflate: true })),
  )
  const second = bytes.lastIndexOf('PK\x01\x02')
  bytes.writeUInt32LE(0, second + 42)
  return bytes
}

const weight = new Float32Array(250)
const tfjs = (groups: unknown): Bomb['files'] => ({
  'step-1.json': JSON.stringify({ modelTopology: {}, weightsManifest: groups }),
  'w.bin': new Uint8Array(4),
})
const group = (name: string, paths = ['w.bin']): unknown => ({
  paths,
  weights: [{ name, shape: [1], dtype: 'float32' }],
})
const graphOf = (field: number): Uint8Array => {
  const parts = Buffer.alloc(2_000_000)
  for (let at = 0; at < parts.length; at += 2) parts[at] = field * 8 + 2
  return Buffer.concat([Buffer.of(8, 8, 0x3a, 0x80, 0x89, 0x7a), parts])
}

const BOMBS: readonly Bomb[] = [
  {
    what: 'a header of lists in lists',
    files: { 'a.safetensors': safetensorsFile(`{"a":${'['.repeat(3e6)}${']'.repeat(3e6)}}`) },
    message: /corrupt safetensors: the header nests more than 512 deep/,
  },
  {
    what: 'a header of empty lists',
    files: { 'a.safetensors': safetensorsFile(`{"__metadata__":[${'[],'.repeat(2e6)}1]}`) },
    message: /the header holds more than 2000000 values/,
  },
  {
    what: 'a header of 2^63 bytes',
    files: { 'a.safetensors': Buffer.concat([Buffer.of(0, 0, 0, 0, 0, 0, 0, 0x80), Buffer.from('{"a":1}')]) },
    message: /a header of 9223372036854775808 bytes; at most 100000000 are allowed/,
  },
  {
    what: 'a header of a million names',
    files: {
      'a.safetensors': safetensorsFile(`{${Array.from({ length: 1e6 }, (_, i) => `"${i}":1`).join(',')}}`),
    },
    message: /corrupt safetensors: tensor 0/,
  },
  {
    what: 'dictionaries that name each other',
    files: { 'a.pt': torchFile(laughs()) },
    message: /no weights found/,
  },
  {
    what: 'lists that name each other',
    files: { 'a.pt': torchFile(laughingLists()) },
    message: /the file holds no dictionary/,
  },
  {
    what: 'marks without end',
    files: { 'a.pt': torchFile(pickle(Buffer.alloc(6e6, '('))) },
    message: /it holds more than its bytes can honestly say/,
  },
  {
    what: 'empty lists without end',
    files: { 'a.pt': torchFile(pickle(Buffer.from('('), Buffer.alloc(6e6, ']'), Buffer.from('t'))) },
    message: /it holds more than its bytes can honestly say/,
  },
  {
    what: 'thousands of names for one storage',
    files: {
      'a.pt': torchFile(
        pickle(
          Buffer.from('}('),
          repeated(5000, (i) => Buffer.concat([op.text(`t${i}`), tensorOp([250_000], [1])])),
          Buffer.from('u'),
        ),
        { '0': new Uint8Array(1e6) },
      ),
    },
    message: /its tensors share storages beyond measure: 5000000000 bytes out of 1000000/,
  },
  {
    what: 'entries of an archive that share their bytes',
    files: { 'step_1.npz': overlapping() },
    message: /entry 'b\.npy' overlaps entry 'a\.npy'/,
  },
  {
    what: 'tensors of a bundle that share their bytes',
    files: {
      'ckpt-1.index': tableFile([
        ['', bundleHeader()],
        ['a', bundleEntry([250], weight)],
        ['b', bundleEntry([250], weight, { offset: 996 })],
      ]),
      'ckpt-1.data-00000-of-00001': new Uint8Array(2000),
    },
    message: /tensor b begins at byte 996, before the end of tensor a at 1000/,
  },
  {
    what: 'a list of 2^32 items',
    files: {
      checkpoint_1: Buffer.concat([
        Buffer.of(0x81, 0xa1, 0x61, 0xdd, 255, 255, 255, 255),
        Buffer.alloc(1e6, 0x80),
      ]),
    },
    message: /more than 250000 values/,
  },
  {
    what: 'a file of weights that is named again and again',
    files: tfjs([group('w', Array<string>(50_000).fill('w.bin'))]),
    message: /corrupt: it names the file w\.bin twice/,
  },
  {
    what: 'a file of weights that many groups name',
    files: tfjs(Array.from({ length: 20_000 }, (_, i) => group(`w${i}`))),
    message: /corrupt: it names the file w\.bin twice/,
  },
  {
    what: 'shapes whose sizes multiply to nothing that is',
    files: tfjs([
      { paths: ['w.bin'], weights: [{ name: 'w', shape: Array(64).fill(2 ** 53 - 1), dtype: 'float32' }] },
    ]),
    message: /weight w needs bytes 0 to Infinity of w\.bin, which have 4/,
  },
  {
    what: 'a network of a million empty nodes',
    files: { 'a.onnx': graphOf(1) },
    kind: 'model',
    message: /made of more than 400000 parts/,
  },
  {
    what: 'a network of a million empty weights',
    files: { 'a.onnx': graphOf(5) },
    kind: 'model',
    message: /made of more than 400000 parts/,
  },
  {
    what: 'a checkpoint of a million empty nodes',
    files: { 'step-1.onnx': graphOf(1) },
    message: /corrupt protobuf: more than 500000 fields/,
  },
  {
    what: 'a table of a hundred thousand columns of one name',
    files: { 'a.csv': `${Array.from({ length: 1e5 }, (_, i) => `c${i}`).join(',')},c5\n` },
    kind: 'data',
    message: /two columns are named 'c5'; rename one/,
  },
]

describe('files that ask for more than they are worth', () => {
  const file = useTempFolder()

  for (const [i, { what, files, kind = 'checkpoint', message }] of BOMBS.entries())
    it(`are refused within limits: ${what}`, async () => {
      for (const [name, content] of Object.entries(files)) {
        mkdirSync(dirname(file(`${i}/${name}`)), { recursive: true })
        writeFileSync(file(`${i}/${name}`), content)
      }
      const [opened = ''] = Object.keys(files)
      globalThis.gc?.()
      const memory = measureMemory()
      const started = performance.now()
      const error = await rejection(readAll(kind, file(`${i}/${opened}`)))
      const seconds = (performance.now() - started) / 1000
      expect(error).to.be.instanceOf(RetrogradError)
      expect(error.message).to.match(message).and.contain(opened)
      expect(memory() / 2 ** 20, 'MB of memory').to.be.below(270)
      // the work takes a third of a second at most; other tests have the processor too
      expect(seconds, 'seconds').to.be.below(3)
    })
})
