import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { expect } from 'chai'

import { openArrayFile } from '../../src/data/array-files.js'
import type { DataNeeds, DataOptions, DataSet, Dim } from '../../src/data/needs.js'
import { openData } from '../../src/data/open-data.js'
import type { ArrayFile } from '../../src/data/stored-array.js'
import { formatShape } from '../../src/tensor.js'
import { useTempFolder } from '../io/temp-folder.js'
import { rejection } from '../support/rejection.js'

/** Files by pyarrow, pandas, PIL, HF datasets, safetensors and numpy: scripts/make-fixtures/data-formats.py. */
const FOLDER = 'fixtures/data/formats'

/** What these libraries read back, by name. */
const EXPECTED = `${FOLDER}/expected.npz`

/** All elements of an array, row-major, as numbers that keep 64 bits. */
async function elements(
  file: ArrayFile,
  name: string,
): Promise<{ shape: string; values: (number | bigint)[] }> {
  const array = file.arrays.find((one) => one.name === name)
  if (array === undefined || !('dtype' in array)) throw new Error(`no array ${name} that is read`)
  const values: (number | bigint)[] = []
  for await (const block of array.blocks()) for (const value of block) values.push(value)
  return { shape: formatShape(array.shape), values }
}

async function read(
  path: string,
  name: string,
  tokens = false,
): Promise<{ shape: string; values: (number | bigint)[] }> {
  const file = await openArrayFile(path, { tokens })
  return await elements(file, name)
}

/** The library's array, and that of a file of this project's reader. */
async function bothOf(path: string, name: string, expected: string): Promise<[unknown, unknown]> {
  return [await read(`${FOLDER}/${path}`, name), await read(EXPECTED, expected)]
}

const labels = (classes = 10): DataNeeds['target'] => ({ kind: 'labels', classes, positions: [] })
const needs = (dims: readonly Dim[], target?: DataNeeds['target']): DataNeeds => ({
  inputs: [{ name: 'input', dtype: 'float32', dims: ['batch', ...dims] }],
  ...(target && { target }),
})
const open = (path: string, wanted: DataNeeds, options: Partial<DataOptions> = {}): Promise<DataSet> =>
  openData(`${FOLDER}/${path}`, wanted, { scale: 'auto', ...options })

/** What a run is given, without where it came from. */
const given = ({ samples, inputs, target }: DataSet): unknown => ({ samples, inputs: [...inputs], target })

const KINDS = [
  'int8',
  'int16',
  'int32',
  'int64',
  'uint8',
  'uint16',
  'uint32',
  'uint64',
  'float16',
  'float32',
  'float64',
]
const EVERY = [...KINDS, ...KINDS.map((kind) => `list_${kind}`), 'bool', 'fixed', 'nested', 'large']

const TABLES: readonly (readonly [file: string, columns: readonly string[]])[] = [
  ['numbers-snappy.parquet', [...EVERY, 'dictionary']],
  ['numbers-v2.parquet', EVERY],
  ['numbers-encoded.parquet', ['float32', 'float64', 'int32', 'int64', 'list_float32', 'list_int64']],
  ...['none', 'gzip', 'brotli', 'zstd', 'lz4'].map(
    (codec) => [`numbers-${codec}.parquet`, ['nested', 'float32', 'int64', 'bool', 'uint8']] as const,
  ),
  ['numbers-uncompressed.arrow', [...EVERY, 'dictionary']],
  ...['lz4', 'zstd'].map(
    (codec) =>
      [
        `numbers-${codec}.arrow`,
        ['int16', 'list_float64', 'bool', 'dictionary', 'nested', 'large', 'fixed'],
      ] as const,
  ),
]

describe('tables', () => {
  for (const [file, columns] of TABLES) {
    it(`${file}: every column is what pyarrow wrote`, async () => {
      for (const column of columns) {
        const [found, wanted] = await bothOf(file, column, `numbers/${column}`)
        expect(found, column).to.deep.equal(wanted)
      }
    })
  }

  it('a stream whose offsets do not begin at 0 gives its own rows', async () => {
    for (const column of ['int64', 'list_float32', 'bool', 'dictionary', 'nested', 'large', 'fixed']) {
      const found = await read(`${FOLDER}/numbers-stream.arrow`, column)
      const all = await read(EXPECTED, `numbers/${column}`)
      expect(found.values, column).to.deep.equal(all.values.slice((3 * all.values.length) / 12))
    }
  })

  it('LZ4 of long repeats, whose blocks refer to those before', async () => {
    const [found, wanted] = await bothOf('repeats-lz4.arrow', 'x', 'repeats')
    expect(found).to.deep.equal(wanted)
  })

  for (const file of ['numbers-snappy.parquet', 'numbers-uncompressed.arrow']) {
    const missing = file.endsWith('.arrow') ? 'no value (null)' : 'a null or an empty list'
    const REFUSED: readonly (readonly [string, string])[] = [
      ['text', 'array text holds string, not numbers; save it as numbers'],
      ['time', 'array time holds timestamp, not numbers'],
      ['decimal', 'array decimal holds decimal, not numbers'],
      ['null', 'null has no value (null) in row 1; fill it or drop the row'],
      ['null_list', `null_list has ${missing} in row 7`],
      ['ragged', 'ragged: row 5 is not 2 as row 0 is'],
      ['short', 'short: row 5 is not 2 as row 0 is'],
      ['ragged_nested', 'ragged_nested: row 3 is not 2 x 2 as row 0 is'],
    ]
    for (const [column, message] of REFUSED) {
      it(`${file}: column ${column} is refused, with the first row at fault`, async () => {
        const sizes =
          column === 'ragged_nested'
            ? [2, 2]
            : column.startsWith('null_') || /ragged|short/.test(column)
              ? [2]
              : []
        const error = await rejection(open(file, needs(sizes), { input: column }))
        expect(error.message).to.contain(message)
      })
    }
  }
})

describe('the same digits in every format', () => {
  const image = needs([1, 6, 5], labels())
  const flat = needs([30], labels())
  const SAME: readonly (readonly [string, DataNeeds, Partial<DataOptions>?])[] = [
    ['mnist/train-images-idx3-ubyte.gz', image],
    ['mnist/train-labels-idx1-ubyte', image],
    ['emnist', image],
    ['digits.safetensors', image],
    ['hf', image],
    ['hf-dict/train', image],
    ['shards/train', image],
    ['digits-indexed.parquet', flat],
    ['digits.csv', flat, { scale: '255' }],
    ['digits-indexed.tsv', flat, { scale: '255' }],
    ['digits-bare.csv', flat, { scale: '255', target: 'c0' }],
  ]
  for (const [path, wanted, options] of SAME) {
    it(`${path} gives what digits.npz gives, bit for bit`, async () => {
      const data = await open(path, wanted, options)
      expect(given(data)).to.deep.equal(given(await open('digits.npz', wanted)))
      expect(await data.sha256()).to.match(/^[0-9a-f]{64}$/)
    })
  }

  it('a network that takes channels last gets the images of HF datasets so', async () => {
    const wanted = needs([6, 5, 1], labels())
    expect(given(await open('hf', wanted))).to.deep.equal(given(await open('digits.npz', wanted)))
  })

  it('HF datasets keeps arrays of three axes as nested lists', async () => {
    const data = await open('hf-arrays', image)
    const { values } = await read(EXPECTED, 'hf-arrays')
    expect([...data.inputs.get('input')!.data]).to.deep.equal(values)
  })

  it('columns of a table are one input in the order of the file, and a note says which', async () => {
    const { notes } = await open('digits-indexed.tsv', flat, { scale: '255' })
    expect(notes[0]).to.contain(
      '30 columns, in this order: pixel0, pixel1, pixel2, pixel3, pixel4, pixel5, pixel6, ... pixel29',
    )
    expect(notes[0]).to.contain('not of the unnamed one, label')
  })

  it('a table of bytes as text says that nothing was divided by 255', async () => {
    const { notes } = await open('digits.csv', flat)
    expect(notes.join()).to.contain('taken as they are; --scale 255 divides them by 255')
  })

  it('decimal fractions in text are read to the last bit', async () => {
    const wanted: DataNeeds = {
      inputs: [{ name: 'input', dtype: 'float64', dims: ['batch', 2] }],
      target: { kind: 'values', dims: ['batch', 1], dtype: 'float64' },
    }
    const data = await open('measures.csv', wanted)
    expect([...data.inputs.get('input')!.data]).to.deep.equal((await read(EXPECTED, 'measures')).values)
    expect([...data.target!.data]).to.deep.equal((await read(EXPECTED, 'measures/target')).values)
  })
})

describe('images', () => {
  for (const kind of ['parquet', 'arrow']) {
    it(`photos.${kind}: PNG and JPEG of all kinds have the pixels that PIL decodes`, async () => {
      const found = await read(`${FOLDER}/photos.${kind}`, 'image')
      expect(found).to.deep.equal(await read(EXPECTED, 'photos'))
    })
    it(`gray.${kind}: so have gray ones`, async () => {
      const found = await read(`${FOLDER}/gray.${kind}`, 'image')
      expect(found.values).to.deep.equal((await read(EXPECTED, 'gray')).values)
    })
  }

  it('channels move to the front for a network that takes them there, and a note says so', async () => {
    const { values } = await read(EXPECTED, 'photos')
    const first = await open('photos.parquet', needs([3, 'height', 'width'], labels()), { scale: 'none' })
    const last = await open('photos.parquet', needs([13, 18, 3], labels()), { scale: 'none' })
    const pixels = 13 * 18
    const moved = [...first.inputs.get('input')!.data]
    expect([...last.inputs.get('input')!.data]).to.deep.equal(values)
    expect(moved).to.deep.equal(
      moved.map((_, at) => {
        const [sample, channel, pixel] = [
          Math.floor(at / (3 * pixels)),
          Math.floor(at / pixels) % 3,
          at % pixels,
        ]
        return values[(sample * pixels + pixel) * 3 + channel]
      }),
    )
    expect(first.notes.join()).to.contain(
      'channels are moved before rows and columns: samples of 3 x 13 x 18',
    )
  })

  it('in colour are not laid flat, since the order would be a guess', async () => {
    const error = await rejection(open('photos.parquet', needs([702], labels())))
    expect(error.message).to.contain("whether its channels come first can't be known")
  })
})

describe('idx', () => {
  for (const kind of ['i1', 'i2', 'i4', 'f4', 'f8']) {
    it(`elements of type ${kind} are big endian`, async () => {
      const [found, wanted] = await bothOf(`idx/x-${kind}.idx`, 'x', 'idx')
      expect(found).to.deep.equal(wanted)
    })
  }

  it('a folder of training and test images asks which', async () => {
    const error = await rejection(open('mnist', needs([1, 6, 5], labels())))
    expect(error.message).to.match(
      /holds 2 sets of images; name one: .*t10k-images-idx3-ubyte or .*train-images-idx3-ubyte\.gz/,
    )
  })
})

describe('CIFAR', () => {
  const colour = needs([3, 32, 32], labels())

  it('a folder of CIFAR-10 is its five training batches', async () => {
    expect(await read(`${FOLDER}/cifar-10-batches-bin`, 'x')).to.deep.equal(await read(EXPECTED, 'cifar10'))
    expect(await read(`${FOLDER}/cifar-10-batches-bin`, 'y')).to.deep.equal(await read(EXPECTED, 'cifar10/y'))
    expect((await open('cifar-10-batches-bin/test_batch.bin', colour)).samples).to.equal(1)
  })

  it('CIFAR-100 has fine labels, and coarse ones by name', async () => {
    for (const [name, wanted] of [
      ['x', 'cifar100'],
      ['y', 'cifar100/y'],
      ['coarse', 'cifar100/coarse'],
    ] as const)
      expect(await read(`${FOLDER}/cifar-100-binary/train.bin`, name)).to.deep.equal(
        await read(EXPECTED, wanted),
      )
    const error = await rejection(open('cifar-100-binary', colour))
    expect(error.message).to.match(/holds training and test data; name one/)
  })

  it('channels move to the end for a network that takes them there', async () => {
    const first = (await open('cifar-10-batches-bin', colour)).inputs.get('input')!.data
    const last = (await open('cifar-10-batches-bin', needs([32, 32, 3], labels()))).inputs.get('input')!.data
    expect(last[3 * 33 + 2]).to.equal(first[2 * 1024 + 33])
  })
})

describe('--transform', () => {
  it('is what torchvision computes in float32, with one number for all', async () => {
    const data = await open('digits.npz', needs([1, 6, 5], labels()), {
      transform: { mean: [0.1307], std: [0.3081] },
    })
    expect([...data.inputs.get('input')!.data]).to.deep.equal((await read(EXPECTED, 'transform/gray')).values)
    expect(data.notes.join()).to.contain('normalized: less 0.1307, divided by 0.3081')
  })

  const perChannel = { mean: [0.4914, 0.4822, 0.4465], std: [0.247, 0.243, 0.261] }

  it('and with one for each channel, wherever the network has them', async () => {
    const { values } = await read(EXPECTED, 'transform/colour')
    const first = await open('cifar-10-batches-bin', needs([3, 32, 32], labels()), { transform: perChannel })
    expect([...first.inputs.get('input')!.data]).to.deep.equal(values)
    const last = await open('cifar-10-batches-bin', needs([32, 32, 3], labels()), { transform: perChannel })
    expect(last.inputs.get('input')!.data[3 * 33 + 2]).to.equal(values[2 * 1024 + 33])
  })

  it('is refused where no axis has as many channels', async () => {
    const error = await rejection(open('digits.npz', needs([1, 6, 5], labels()), { transform: perChannel }))
    expect(error.message).to.contain(
      '--transform has 3 channels, but neither the first nor the last axis of a sample (1 x 6 x 5) has',
    )
  })

  it('is refused where a deviation is 0, and for networks of whole numbers', async () => {
    const zero = await rejection(
      open('digits.npz', needs([30], labels()), { transform: { mean: [0], std: [0] } }),
    )
    expect(zero.message).to.contain('a standard deviation of 0; it must be above 0')
    const whole: DataNeeds = { inputs: [{ name: 'input', dtype: 'int64', dims: ['batch', 30] }] }
    const error = await rejection(open('digits.npz', whole, { transform: { mean: [0], std: [1] } }))
    expect(error.message).to.contain('the network takes whole numbers, which are not normalized')
  })
})

describe('--context', () => {
  const gpt: DataNeeds = {
    inputs: [{ name: 'idx', dtype: 'int64', dims: ['batch', 'tokens'] }],
    target: { kind: 'labels', positions: ['tokens'] },
  }

  for (const path of ['tokens.bin', 'gpt2.bin', 'llama3.bin', 'tokens.npy']) {
    it(`cuts ${path} into sequences, each against the next token`, async () => {
      const { values } = await read(EXPECTED, 'tokens')
      const data = await open(path, gpt, { context: 8 })
      expect(data.samples).to.equal(12)
      expect([...data.inputs.get('idx')!.data]).to.deep.equal(values.slice(0, 96))
      expect([...data.target!.data]).to.deep.equal(values.slice(1, 97))
      expect(data.notes[0]).to.contain(
        '103 tokens are cut into 12 sequences of 8; the target is the token after each; 6 at the end are left out',
      )
    })
  }

  it('gives an input that is a target the next tokens too', async () => {
    const wanted: DataNeeds = {
      inputs: [
        { name: 'input_ids', dtype: 'int64', dims: ['batch', 'tokens'] },
        { name: 'labels', dtype: 'int64', dims: ['batch', 'tokens'] },
      ],
    }
    const { values } = await read(EXPECTED, 'tokens')
    const data = await open('tokens.bin', wanted, { context: 102 })
    expect([...data.inputs.get('labels')!.data]).to.deep.equal(values.slice(1, 103))
  })

  it('refuses what it can not cut', async () => {
    const say = async (path: string, context: number): Promise<string> =>
      (await rejection(open(path, gpt, { context }))).message
    expect(await say('tokens.bin', 103)).to.contain('has 103 tokens; --context 103 needs 104 at least')
    expect(await say('tokens.bin', 0)).to.contain('--context 0: a whole number from 1 on is needed')
    expect(await say('digits.npz', 4)).to.contain(
      'is 12 x 6 x 5; --context cuts one long row of tokens: leave it out',
    )
    expect(await say('hf-arrays', 4)).to.contain('--context cuts one long row of tokens')
    const plain = await rejection(open('tokens.bin', gpt))
    expect(plain.message).to.contain('for tokens (uint16, as nanoGPT writes them) give --context N')
  })
})

describe('a network of several inputs', () => {
  const two: DataNeeds = {
    inputs: [
      { name: 'left', dtype: 'float32', dims: ['batch'] },
      { name: 'right', dtype: 'float32', dims: ['batch'] },
    ],
  }

  it('takes arrays by the names that are given for its inputs', async () => {
    const data = await open('numbers-snappy.parquet', two, { inputs: { left: 'float32', right: 'float64' } })
    const { values } = await read(EXPECTED, 'numbers/float64')
    expect([...data.inputs.get('right')!.data]).to.deep.equal(values)
  })

  it('says which inputs there are, and how one is given its array', async () => {
    const say = async (options: Partial<DataOptions>): Promise<string> =>
      (await rejection(open('measures.csv', two, options))).message
    expect(await say({})).to.match(
      /no array for the network's input 'left' .* it holds width float64 12, height float64 12, target float64 12; name the array with --input left=ARRAY/,
    )
    expect(await say({ inputs: { middle: 'width' } })).to.contain(
      '--input middle=...: the network has no such input; it has left, right',
    )
    expect(await say({ input: 'width' })).to.contain(
      'the network has inputs left, right; say which: --input INPUT=width',
    )
  })
})

describe('folders of parts', () => {
  const file = useTempFolder()
  const image = needs([1, 6, 5], labels())

  it('ask which data set is meant', async () => {
    expect((await rejection(open('shards', image))).message).to.match(
      /holds 2 data sets; name one: .*shards\/test or .*shards\/train$/,
    )
    expect((await rejection(open('hf-dict', image))).message).to.match(
      /a folder of data sets; name one: .*test or .*train$/,
    )
  })

  it('with a part missing are refused', async () => {
    mkdirSync(file('incomplete'))
    cpSync(`${FOLDER}/shards/train-00001-of-00002.parquet`, file('incomplete/train-00001-of-00002.parquet'))
    const error = await rejection(openData(file('incomplete'), image, { scale: 'auto' }))
    expect(error.message).to.contain('part 0 of 2 is missing')
    mkdirSync(file('cifar'))
    writeFileSync(
      file('cifar/data_batch_1.bin'),
      readFileSync(`${FOLDER}/cifar-10-batches-bin/data_batch_1.bin`),
    )
    const batch = await rejection(openData(file('cifar'), needs([3, 32, 32], labels()), { scale: 'auto' }))
    expect(batch.message).to.contain('data_batch_2.bin is missing')
  })

  it('whose parts differ are refused', async () => {
    mkdirSync(file('mixed'))
    cpSync(`${FOLDER}/photos.parquet`, file('mixed/a-1.parquet'))
    cpSync(`${FOLDER}/gray.parquet`, file('mixed/a-2.parquet'))
    const error = await rejection(openData(file('mixed'), image, { scale: 'auto' }))
    expect(error.message).to.match(
      /a-2\.parquet: image is uint8 13 x 18 x 1, but uint8 13 x 18 x 3 in .*a-1\.parquet: image/,
    )
  })
})
