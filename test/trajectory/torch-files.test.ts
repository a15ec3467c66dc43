import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { expect } from 'chai'

import { CheckpointError, CheckpointFormatError, RetrogradError } from '../../src/errors.js'
import { pytorch } from '../../src/trajectory/formats/pytorch.js'
import type { Save } from '../../src/trajectory/formats/format.js'
import { useTempFolder } from '../io/temp-folder.js'
import { rejection } from '../support/rejection.js'
import { Random } from '../support/random.js'

const FOLDER = 'fixtures/torch'

/** What torch.load gives for the same files (scripts/make-fixtures/torch-files.py). */
type Expected = Record<string, Record<string, { shape: number[]; values: number[] | null }>>
const expected = JSON.parse(readFileSync(`${FOLDER}/expected.json`, 'utf8')) as Expected

async function openSave(path: string): Promise<Save> {
  const opened = await pytorch.open(path)
  if ('reason' in opened) throw new Error(opened.reason)
  return opened.saves[0]!
}

describe('files of torch.save', () => {
  const file = useTempFolder()

  const READ: readonly [name: string, what: string][] = [
    ['legacy.pt', 'the format from before 1.6, with views, shared storages and all element types'],
    ['legacy.protocol4.pt', 'the same in pickle protocol 4, whose magic number stands in a frame'],
    ['legacy-trainer.pt', "the same, the weights beside an optimizer's state"],
    ['no-checksums.pt', 'a zip archive that was written without checksums'],
    ['objects.pt', 'weights beside options, classes, random states and schedulers of every kind'],
    ['attributes.pt', 'a parameter with attributes of its own'],
  ]
  for (const [name, what] of READ) {
    it(`are read as torch.load reads them: ${what}`, async () => {
      const save = await openSave(`${FOLDER}/${name}`)
      const tensors = Object.entries(expected[name]!)
      expect([...save.tensors.keys()]).to.deep.equal(tensors.map(([tensor]) => tensor))
      for (const [tensor, { shape, values }] of tensors) {
        expect(save.tensors.get(tensor)?.shape, tensor).to.deep.equal(shape)
        if (values !== null) expect([...(await save.read(tensor)).data], tensor).to.deep.equal(values)
      }
    })
  }

  it('count in whole numbers of NumPy and in tensors of one element too', async () => {
    expect([...(await openSave(`${FOLDER}/objects.pt`)).counters]).to.deep.equal([
      ['global_step', 70],
      ['epoch', 2],
    ])
    expect([...(await openSave(`${FOLDER}/legacy-trainer.pt`)).counters]).to.deep.equal([['iteration', 9]])
  })

  it('are known by their content under any name', async () => {
    for (const name of ['legacy.pt', 'objects.pt']) {
      const bytes = readFileSync(`${FOLDER}/${name}`)
      expect(pytorch.match(bytes.subarray(0, 512), 'checkpoint'), name).to.equal(true)
      await openSave(file('checkpoint', bytes))
    }
  })

  const REFUSED: readonly [name: string, message: RegExp][] = [
    ['legacy-big-endian.pt', /its numbers are big-endian; only little is read/],
    ['subclass.pt', /refused: its pickle needs __main__\.Marked, which is no tensor/],
    ['quantized.pt', /needs torch\._utils\._rebuild_qtensor/],
    ['legacy-quantized.pt', /needs torch\._utils\._rebuild_qtensor/],
    ['meta.pt', /needs torch\._utils\._rebuild_meta_tensor_no_storage/],
    [
      'tar.pt',
      /tar format of PyTorch's first versions; .*torch\.save\(torch\.load\("tar\.pt", weights_only=False\), "tar\.pt"\)/,
    ],
  ]
  for (const [name, message] of REFUSED) {
    it(`are refused where no weights can be read: ${name}`, async () => {
      const error = await rejection(openSave(`${FOLDER}/${name}`))
      expect(error).to.be.instanceOf(CheckpointFormatError)
      expect(error.message).to.match(message).and.contain(name)
    })
  }

  it('that were cut off are refused when they are opened', async () => {
    for (const [name, message] of [
      ['legacy.pt', /truncated: its tensors end at byte \d+, but the file has \d+ bytes/],
      ['no-checksums.pt', /corrupt or truncated zip archive/],
    ] as const) {
      const bytes = readFileSync(`${FOLDER}/${name}`)
      const error = await rejection(openSave(file(name, bytes.subarray(0, bytes.length - 1))))
      expect(error).to.be.instanceOf(CheckpointError)
      expect(error.message).to.match(message)
    }
  })

  it('of the old format whose number of elements was damaged are corrupt', async () => {
    const bytes = Buffer.from(readFileSync(`${FOLDER}/legacy-trainer.pt`))
    const count = Buffer.from([2, 0, 0, 0, 0, 0, 0, 0])
    // the bias: a count of 2 elements, then their bytes
    const bias = Buffer.from(Float32Array.from(expected['legacy-trainer.pt']!.bias!.values!).buffer)
    const at = bytes.indexOf(Buffer.concat([count, bias]))
    expect(at).to.be.above(0)
    bytes[at] = 5
    const save = await openSave(file('count.pt', bytes))
    const error = await rejection(save.read('bias'))
    expect(error).to.be.instanceOf(CheckpointError)
    expect(error.message).to.match(/tensor bias needs a storage of 2 elements, but it has 5/)
  })

  it('with a flipped bit never give another number where there are checksums', async () => {
    const sound = readFileSync(`${FOLDER}/objects.pt`)
    const { values } = expected['objects.pt']!.weight!
    const random = new Random('flips')
    for (let round = 0; round < 300; round++) {
      const bytes = Buffer.from(sound)
      bytes[Math.floor(random.next() * bytes.length)]! ^= 1 << Math.floor(random.next() * 8)
      const read = openSave(file('flipped.pt', bytes)).then((save) => save.read('weight'))
      const outcome = await read.catch((error: unknown) => error)
      if (outcome instanceof Error) expect(outcome, `round ${round}`).to.be.instanceOf(RetrogradError)
      else expect([...(await read).data], `round ${round}`).to.deep.equal(values)
    }
  })

  it('that were damaged anyhow end in an error of their own, or are read', async () => {
    const random = new Random('damage')
    const below = (limit: number): number => Math.floor(random.next() * limit)
    for (const name of ['legacy.pt', 'legacy.protocol4.pt', 'legacy-trainer.pt', 'no-checksums.pt']) {
      const sound = readFileSync(`${FOLDER}/${name}`)
      for (let round = 0; round < 150; round++) {
        const bytes = Buffer.from(sound.subarray(0, round % 3 === 0 ? below(sound.length) : sound.length))
        sound.copy(bytes, below(bytes.length), below(sound.length), below(sound.length))
        const path = file(`damaged-${basename(name)}`, bytes)
        const outcome = await readAll(path).catch((error: unknown) => error)
        if (outcome instanceof Error)
          expect(outcome, `${name}, round ${round}`).to.be.instanceOf(RetrogradError)
      }
    }
  })

  async function readAll(path: string): Promise<void> {
    const save = await openSave(path)
    for (const name of save.tensors.keys()) await save.read(name)
  }
})
