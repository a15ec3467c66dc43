import { mkdirSync, readFileSync } from 'node:fs'
import { crc32, deflateSync, gzipSync } from 'node:zlib'
import { expect } from 'chai'
import { parquetWriteBuffer } from 'hyparquet-writer'

import type { DataNeeds, DataOptions } from '../../src/data/needs.js'
import { openArrayFile } from '../../src/data/array-files.js'
import { openData } from '../../src/data/open-data.js'
import { DataError, RetrogradError, UsageError } from '../../src/errors.js'
import { useTempFolder } from '../io/temp-folder.js'
import { rejection } from '../support/rejection.js'

const FOLDER = 'fixtures/data/formats'
const fixture = (name: string): Buffer => readFileSync(`${FOLDER}/${name}`)

const needs = (...dims: number[]): DataNeeds => ({
  inputs: [{ name: 'input', dtype: 'float32', dims: ['batch', ...dims] }],
})

/** An idx header, big endian, and data. */
function idx(type: number, sizes: readonly number[], data: Uint8Array): Buffer {
  const head = Buffer.alloc(4 + 4 * sizes.length)
  head.set([0, 0, type, sizes.length])
  sizes.forEach((size, axis) => head.writeUInt32BE(size, 4 + 4 * axis))
  return Buffer.concat([head, data])
}

/** The bytes with those at `at` changed. */
function patched(bytes: Buffer, at: number, ...values: number[]): Buffer {
  const copy = Buffer.from(bytes)
  copy.set(values, at < 0 ? copy.length + at : at)
  return copy
}

/** A PNG of one gray row that claims another size. */
function png(
  width: number,
  height: number,
  pixels: Uint8Array,
  ihdr: readonly number[] = [8, 0, 0, 0, 0],
): Buffer {
  const chunk = (type: string, data: Uint8Array): Buffer => {
    const body = Buffer.concat([Buffer.from(type, 'latin1'), data])
    const ends = Buffer.alloc(8)
    ends.writeUInt32BE(data.length, 0)
    ends.writeUInt32BE(crc32(body), 4)
    return Buffer.concat([ends.subarray(0, 4), body, ends.subarray(4)])
  }
  const head = Buffer.alloc(13)
  head.writeUInt32BE(width, 0)
  head.writeUInt32BE(height, 4)
  head.set(ihdr, 8)
  const signature = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1')
  return Buffer.concat([
    signature,
    chunk('IHDR', head),
    chunk('IDAT', deflateSync(pixels)),
    chunk('IEND', new Uint8Array()),
  ])
}

/** A Parquet file of one image column, as HF datasets stores it. */
function images(...cells: readonly (Buffer | undefined)[]): Buffer {
  const rows = cells.map((bytes) => ({
    bytes: bytes === undefined ? null : new Uint8Array(bytes),
    path: 'a.png',
  }))
  const file = parquetWriteBuffer({
    schema: [
      { name: 'root', num_children: 1 },
      { name: 'image', num_children: 2, repetition_type: 'OPTIONAL' },
      { name: 'bytes', type: 'BYTE_ARRAY', repetition_type: 'OPTIONAL' },
      { name: 'path', type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'OPTIONAL' },
    ],
    columnData: [{ name: 'image', data: rows }],
  })
  return Buffer.from(file)
}

const good = png(2, 1, Uint8Array.of(0, 1, 2))
const photo = fixture('images/png')
const jpeg = fixture('images/jpeg-420')

interface Bad {
  readonly what: string
  readonly name: string
  readonly bytes: Buffer | string
  readonly message: RegExp
  readonly needs?: DataNeeds
  readonly options?: Partial<DataOptions>
  readonly error?: new (message: string) => RetrogradError
}

const MNIST = 'train-images-idx3-ubyte'
const gz = fixture(`mnist/${MNIST}.gz`)
const parquet = fixture('numbers-none.parquet')
const arrow = fixture('numbers-uncompressed.arrow')
const stream = fixture('numbers-stream.arrow')

const BAD: readonly Bad[] = [
  {
    what: 'a gzip file that is cut off',
    name: `${MNIST}.gz`,
    bytes: gz.subarray(0, -20),
    needs: needs(1, 6, 5),
    message: /corrupt or truncated gzip: unexpected end of file/,
  },
  {
    what: 'a gzip file whose checksum is wrong',
    name: `${MNIST}.gz`,
    bytes: patched(gz, -8, gz.at(-8)! ^ 1),
    needs: needs(1, 6, 5),
    message: /corrupt or truncated gzip: incorrect data check/,
  },
  {
    what: 'gzip around something else',
    name: 'data.csv.gz',
    bytes: gzipSync('a,b\n1,2\n'),
    message: /not an idx file: its magic number is 0x612c620a.*other formats are not read gzipped/,
  },
  {
    what: 'a magic number of no type',
    name: MNIST,
    bytes: idx(0x0a, [2], Buffer.alloc(2)),
    message: /not an idx file: its magic number is 0x00000a01/,
  },
  {
    what: 'an idx header that promises more',
    name: MNIST,
    bytes: idx(8, [5, 2], Buffer.alloc(8)),
    message: /truncated: its idx header promises 22 bytes, the file has 20/,
  },
  {
    what: 'an idx header that promises less',
    name: MNIST,
    bytes: idx(8, [3, 2], Buffer.alloc(8)),
    message: /corrupt: its idx header promises 18 bytes, the file has 20/,
  },
  {
    what: 'a packed idx header that promises terabytes',
    name: `${MNIST}.gz`,
    bytes: gzipSync(idx(8, [2 ** 20, 2 ** 20], Buffer.alloc(100))),
    message: /corrupt: its idx header promises 1099511627788 bytes/,
  },
  {
    what: 'a packed idx file that goes on beyond its header',
    name: `${MNIST}.gz`,
    bytes: gzipSync(idx(8, [10], Buffer.alloc(2 ** 24))),
    needs: needs(),
    message: /holds more than the 18 bytes that its idx header promises/,
  },
  {
    what: 'a packed idx file that ends before its header says',
    name: `${MNIST}.gz`,
    bytes: gzipSync(idx(8, [3, 2], Buffer.alloc(4))),
    needs: needs(2),
    message: /truncated: its idx header promises 18 bytes, only 16 are there/,
  },
  {
    what: 'images without their labels',
    name: MNIST,
    bytes: idx(8, [2, 1], Buffer.alloc(2)),
    needs: { ...needs(1), target: { kind: 'labels', positions: [] } },
    error: UsageError,
    message:
      /no array for the target .*; no train-labels-idx1-ubyte beside it \(or train-labels-idx1-ubyte\.gz\)/,
  },

  {
    what: 'half a record of CIFAR',
    name: 'data_batch_1.bin',
    bytes: Buffer.alloc(4000),
    message: /truncated: records of CIFAR are 3073 bytes each, but the file's 4000 bytes are not a multiple/,
  },
  {
    what: 'a label that CIFAR does not have',
    name: 'test_batch.bin',
    bytes: Buffer.alloc(3073, 11),
    options: { input: 'y' },
    needs: needs(),
    message: /corrupt: record 0 has label 11, CIFAR's are below 10/,
  },
  {
    what: 'tokens of an odd number of bytes',
    name: 'train.bin',
    bytes: Buffer.alloc(7),
    options: { context: 2 },
    message: /truncated: tokens are 2 bytes each, but the file has 7/,
  },
  {
    what: 'tokens that are fewer than their header says',
    name: 'a.bin',
    bytes: fixture('gpt2.bin').subarray(0, -2),
    options: { context: 2 },
    message: /truncated: its header promises 1230 bytes, it has 1228/,
  },
  {
    what: 'tokens of a version to come',
    name: 'a.bin',
    bytes: patched(fixture('gpt2.bin'), 4, 2),
    options: { context: 2 },
    message: /tokens of llm\.c's version 2; version 1 is read/,
  },

  {
    what: 'Parquet without its footer',
    name: 'a.parquet',
    bytes: parquet.subarray(0, -100),
    message: /truncated Parquet file: it does not end with its footer; copy it again/,
  },
  {
    what: 'a Parquet footer longer than the file',
    name: 'a.parquet',
    bytes: patched(parquet, -8, 0xff, 0xff, 0xff, 0x0f),
    message: /corrupt Parquet file: a footer of 268435455 bytes in a file of \d+/,
  },
  {
    what: 'a Parquet page whose checksum is wrong',
    name: 'a.parquet',
    bytes: patched(parquet, 60, parquet[60]! ^ 1),
    options: { input: 'int64' },
    needs: needs(),
    message: /int64: corrupt or unread Parquet column: the checksum of the page at byte \d+ is wrong/,
  },
  {
    what: 'encrypted Parquet',
    name: 'a.parquet',
    bytes: 'PARE----PARE',
    message: /encrypted Parquet; write it without encryption/,
  },
  {
    what: 'an Arrow file that is cut off',
    name: 'a.arrow',
    bytes: arrow.subarray(0, -1000),
    message: /truncated Arrow file: it does not end with its footer/,
  },
  {
    what: 'an Arrow stream without its end mark',
    name: 'a.arrow',
    bytes: stream.subarray(0, -8),
    message: /truncated Arrow file: it ends at byte \d+ without its end mark/,
  },
  {
    what: 'an Arrow stream that ends in a batch',
    name: 'a.arrow',
    bytes: stream.subarray(0, -1000),
    message: /truncated Arrow file/,
  },
  {
    what: 'an Arrow message of a gigabyte',
    name: 'a.arrow',
    bytes: patched(stream, 4, 0, 0, 0, 0x40),
    error: DataError,
    message: /its first bytes are of no data format|a message of/,
  },
  {
    what: 'the first form of Feather',
    name: 'a.feather',
    bytes: 'FEA1------------',
    message: /Feather V1; write it anew/,
  },
  {
    what: 'a pickle',
    name: 'a.pkl',
    bytes: '\x80\x04\x95',
    message: /its first bytes are of no data format|a pickle, which is never run/,
  },

  { what: 'an empty table', name: 'a.csv', bytes: '\n\n', message: /a table without a line/ },
  {
    what: 'a table of names only',
    name: 'a.csv',
    bytes: 'a,b\n',
    needs: needs(2),
    message: /has no samples/,
  },
  {
    what: 'a missing value',
    name: 'a.csv',
    bytes: 'a,b\n1,2\n3,\n',
    needs: needs(2),
    message: /column 'b' has no value in line 3; fill it or drop the row/,
  },
  {
    what: 'a column of text',
    name: 'a.csv',
    bytes: 'a,b\n1,2\n3,red\n',
    needs: needs(2),
    message:
      /column 'b' holds text \("red" in line 3\); save it as numbers, as pandas\.factorize gives them, or drop the column/,
  },
  {
    what: 'labels that are text',
    name: 'a.csv',
    bytes: 'a,label\n1,cat\n3,dog\n',
    needs: { ...needs(1), target: { kind: 'labels', positions: [] } },
    message: /array label holds text \("cat" in line 2\); save it as numbers/,
  },
  {
    what: 'a line that is too short',
    name: 'a.csv',
    bytes: 'a,b\n1,2\n3\n',
    message: /line 3 has 1 values, the first has 2/,
  },
  {
    what: 'a line that is too short in a table with quotes',
    name: 'a.tsv',
    bytes: '"a"\t"b"\n1\t2\n3\n',
    message: /line 3 has 1 values, the first has 2/,
  },
  {
    what: 'a quote that does not end',
    name: 'a.csv',
    bytes: '"a",b\n1,"2\n3,4\n',
    message: /not a table of separated values: Quote Not Closed/,
  },
  {
    what: 'two columns of one name',
    name: 'a.csv',
    bytes: 'a,a\n1,2\n',
    message: /two columns are named 'a'; rename one/,
  },
  {
    what: 'a line without an end',
    name: 'a.csv',
    bytes: `a\n${'1'.repeat(2 ** 24 + 2 ** 20)}`,
    message: /line 2 is longer than 16777216 characters/,
  },

  {
    what: 'a PNG whose checksum is wrong',
    name: 'a.parquet',
    bytes: images(patched(good, 45, 0x55)),
    needs: needs(1, 1, 2),
    message: /the image in row 0 is corrupt PNG: the checksum of its chunk IDAT is wrong/,
  },
  {
    what: 'a PNG that is cut off',
    name: 'a.parquet',
    bytes: images(good, good.subarray(0, 50)),
    needs: needs(1, 1, 2),
    message: /the image in row 1 is truncated PNG: it ends within its chunk IDAT/,
  },
  {
    what: 'a PNG with fewer pixels than its header says',
    name: 'a.parquet',
    bytes: images(png(2, 2, Uint8Array.of(0, 1, 2))),
    needs: needs(1, 2, 2),
    message: /corrupt PNG: 3 of 6 bytes of pixels are there/,
  },
  {
    what: 'a PNG with more pixels than its header says',
    name: 'a.parquet',
    bytes: images(png(2, 1, new Uint8Array(2 ** 24))),
    needs: needs(1, 1, 2),
    message: /corrupt PNG: its pixels can't be unpacked/,
  },
  {
    what: 'a PNG that claims gigabytes',
    name: 'a.parquet',
    bytes: images(png(60000, 60000, Uint8Array.of(0))),
    needs: needs(1, 1, 2),
    message:
      /array image can't be decoded: row 0 holds 60000 x 60000 pixels; images of up to 16777216 pixels are decoded/,
  },
  {
    what: 'a PNG of 16 bits',
    name: 'a.parquet',
    bytes: images(fixture('images/png-16')),
    needs: needs(1, 13, 18),
    message: /row 0 holds a PNG of 16 bits a channel; save images with 8 bits/,
  },
  {
    what: 'a JPEG that is cut off',
    name: 'a.parquet',
    bytes: images(jpeg, jpeg.subarray(0, -60)),
    needs: needs(3, 13, 18),
    message: /the image in row 1 is truncated JPEG: it has no end marker/,
  },
  {
    what: 'a JPEG whose scan is cut out',
    name: 'a.parquet',
    bytes: images(jpeg, Buffer.concat([jpeg.subarray(0, -60), Buffer.from([0xff, 0xd9])])),
    needs: needs(3, 13, 18),
    message: /the image in row 1 is corrupt JPEG/,
  },
  {
    what: 'a JPEG of inks',
    name: 'a.parquet',
    bytes: images(fixture('images/jpeg-cmyk')),
    needs: needs(3, 13, 18),
    message: /a JPEG of 4 components \(CMYK\); convert it to RGB/,
  },
  {
    what: 'WebP',
    name: 'a.parquet',
    bytes: images(fixture('images/webp')),
    needs: needs(3, 13, 18),
    message: /a WebP image; PNG and JPEG are decoded/,
  },
  {
    what: 'paths instead of images',
    name: 'a.parquet',
    bytes: images(undefined),
    needs: needs(3, 13, 18),
    message: /has no image in row 0, at most a path to one: embed the files/,
  },
  {
    what: 'a row without an image',
    name: 'a.parquet',
    bytes: images(good, undefined),
    needs: needs(1, 1, 2),
    message: /has no image in row 1/,
  },
  {
    what: 'images of different sizes',
    name: 'a.parquet',
    bytes: images(good, png(1, 1, Uint8Array.of(0, 1))),
    needs: needs(1, 1, 2),
    message:
      /the image in row 1 is 1 x 1 x 1 \(height, width, channels\), that in row 0 is 1 x 2 x 1; resize them/,
  },
  {
    what: 'gray images among those in colour',
    name: 'a.parquet',
    bytes: images(photo, png(18, 13, new Uint8Array(13 * 19))),
    needs: needs(3, 13, 18),
    message:
      /the image in row 1 is 13 x 18 x 1 .*, that in row 0 is 13 x 18 x 3; make them alike: .*convert\("RGB"\)/,
  },
]

describe('bad data', () => {
  const file = useTempFolder()

  for (const [
    at,
    { what, name, bytes, message, needs: wanted = needs(6), options, error = DataError },
  ] of BAD.entries()) {
    it(`${what}: refused with what is wrong`, async () => {
      mkdirSync(file(`${at}`))
      const path = file(`${at}/${name}`, typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
      const thrown = await rejection(openData(path, wanted, { scale: 'auto', ...options }))
      expect(thrown.message).to.match(message)
      expect(thrown).to.be.instanceOf(error)
      expect(thrown.message).to.contain(name)
    })
  }

  /** Files in which any bit may be wrong: all of them end in an answer or an error of this project's. */
  const FLIPPED = [
    'numbers-snappy.parquet',
    'numbers-v2.parquet',
    'photos.parquet',
    'numbers-lz4.arrow',
    'numbers-stream.arrow',
    'photos.arrow',
    `mnist/${MNIST}.gz`,
  ]
  for (const name of FLIPPED) {
    it(`${name} with flipped bits or cut off: an answer or an error with the path, never a crash`, async () => {
      const bytes = fixture(name)
      const random = generator(name.length)
      for (let round = 0; round < 40; round += 1) {
        const changed = round % 4 === 0 ? bytes.subarray(0, random(bytes.length)) : flipped(bytes, random)
        const path = file(name.replaceAll('/', '-'), changed)
        const thrown = await readAll(path).then(
          () => undefined,
          (error: unknown) => error,
        )
        if (thrown === undefined) continue
        expect(thrown).to.be.instanceOf(RetrogradError)
        expect((thrown as Error).message).to.contain(path)
      }
    })
  }
})

/** Numbers below `limit`, the same in every run (Numerical Recipes' linear congruence). */
function generator(seed: number): (limit: number) => number {
  let state = seed
  return (limit) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * limit)
  }
}

function flipped(bytes: Buffer, random: (limit: number) => number): Buffer {
  const copy = Buffer.from(bytes)
  for (let bit = 0; bit < 3; bit += 1) copy[random(copy.length)]! ^= 1 << random(8)
  return copy
}

/** Reads every array of a file; throws what the last one throws. */
async function readAll(path: string): Promise<void> {
  const opened = await openArrayFile(path)
  let thrown: unknown
  for (const array of opened.arrays) {
    if (!('dtype' in array)) continue
    try {
      for await (const block of array.blocks()) expect(block).to.have.property('length')
    } catch (error) {
      thrown = error
      if (!(error instanceof RetrogradError)) break
    }
  }
  if (thrown !== undefined) throw thrown as Error
}
