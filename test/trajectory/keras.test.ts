import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'

import { CheckpointError, CheckpointFormatError, RetrogradError } from '../../src/errors.js'
import { withFile } from '../../src/io/ranged-file.js'
import { listZip, readZipEntry } from '../../src/io/zip.js'
import { recognise } from '../../src/trajectory/recognise.js'
import type { OpenedFile, Save } from '../../src/trajectory/formats/format.js'
import { kerasFolder } from '../../src/trajectory/formats/keras.js'
import { openTrajectory } from '../../src/trajectory/open-trajectory.js'
import { useTempFolder } from '../io/temp-folder.js'
import { writeHdf5 } from '../io/write-hdf5.js'
import { writeZip } from '../io/write-zip.js'
import { Random } from '../support/random.js'
import { rejection } from '../support/rejection.js'
import { expectRecorded, recordedByKeras } from './recorded-run.js'

const FOLDER = 'fixtures/keras'

/** What Keras itself says that the files hold (scripts/make-fixtures/keras-files.py). */
type Expected = Record<string, Record<string, { shape: number[]; values: number[] }>>
const expected = JSON.parse(readFileSync(`${FOLDER}/expected.json`, 'utf8')) as Expected

async function openFile(path: string): Promise<OpenedFile> {
  const opened = await (await recognise(path))!.open(path)
  if ('reason' in opened) throw new Error(opened.reason)
  return opened
}

async function openSave(path: string): Promise<Save> {
  return (await openFile(path)).saves[0]!
}

async function valuesOf(save: Save): Promise<Record<string, { shape: number[]; values: number[] }>> {
  const values: Record<string, { shape: number[]; values: number[] }> = {}
  for (const [name, { shape }] of save.tensors)
    values[name] = { shape: [...shape], values: [...(await save.read(name)).data] }
  return values
}

describe('checkpoints of Keras', () => {
  const file = useTempFolder()

  for (const name of Object.keys(expected).filter((one) => one !== 'zoo.keras')) {
    it(`reads from ${name} what Keras holds, by meaningful names`, async () => {
      expect(await valuesOf(await openSave(`${FOLDER}/${name}`))).to.deep.equal(expected[name])
    })
  }

  it('names the variables of many classes of layers by their configuration', async () => {
    expect(await valuesOf(await openSave(`${FOLDER}/zoo.keras`))).to.deep.equal(expected['zoo.keras'])
  })

  for (const [name, step] of [
    ['functional.keras', 6],
    ['functional.weights.h5', 6],
    ['functional.h5', 6],
    ['keras-2.h5', 4],
    ['keras-2.keras', 4],
    ['loss-scaled.weights.h5', 4],
  ] as const) {
    it(`finds the number of updates that the optimizer counted in ${name}`, async () => {
      expect([...(await openSave(`${FOLDER}/${name}`)).counters]).to.deep.equal([['step', step]])
    })
  }

  it('takes a number in the names for an epoch where the files count nothing', async () => {
    const folder = file('epochs')
    mkdirSync(folder)
    for (const name of ['01-0.93.h5', '02-0.71.h5', '10-0.5.h5'])
      copyFileSync(`${FOLDER}/keras-2-weights.h5`, join(folder, name))
    const { stepUnit, checkpoints, format } = await openTrajectory(folder)
    expect({ format, stepUnit, steps: checkpoints.map(({ step }) => step) }).to.deep.equal({
      format: 'HDF5',
      stepUnit: 'epoch',
      steps: [1, 2, 10],
    })
  })

  for (const [id, prefix, suffix, unit] of [
    ['keras', '', '', 'step'],
    ['keras-weights-h5', '', '', 'step'],
    ['keras-nested', 'network/', '', 'epoch'],
    ['keras-sharded', '', '', 'epoch'],
    ['keras-legacy-h5', 'network/', '', 'step'],
    ['tf-keras-h5', '', ':0', 'step'],
    ['tf-keras-weights-h5', '', ':0', 'epoch'],
  ] as const) {
    it(`reads a run as Keras saved it: ${id}`, async () => {
      const { stepUnit, checkpoints } = await expectRecorded(
        id,
        async (step) =>
          new Map(
            [...(await recordedByKeras(step))].map(([name, tensor]) => [`${prefix}${name}${suffix}`, tensor]),
          ),
      )
      expect([stepUnit, ...checkpoints.map(({ step }) => step)]).to.deep.equal([unit, 1, 2, 3, 4])
    })
  }

  it('passes over an optimizer that counted nothing', async () => {
    const folder = file('uncounted')
    mkdirSync(folder)
    for (const name of ['epoch-3.weights.h5', 'epoch-4.weights.h5']) {
      const bytes = await writeHdf5((to) => {
        const layer = to.create_group('layers').create_group('dense').create_group('vars')
        layer.create_dataset({ name: '0', data: new Float32Array([1, 2]), shape: [1, 2] })
        const optimizer = to.create_group('optimizer').create_group('vars')
        optimizer.create_dataset({ name: '0', data: new BigInt64Array([0n]), shape: [] })
      })
      writeFileSync(join(folder, name), bytes)
    }
    const { stepUnit, checkpoints } = await openTrajectory(folder)
    expect([stepUnit, ...checkpoints.map(({ step }) => step)]).to.deep.equal(['epoch', 3, 4])
    expect([...checkpoints[0]!.tensors.keys()]).to.deep.equal(['dense/kernel'])
    expect([...(await openSave(join(folder, 'epoch-3.weights.h5'))).counters]).to.deep.equal([['step', 0]])
  })

  it('reads bfloat16 only where the file says that it is', async () => {
    expect((await openSave(`${FOLDER}/dtypes.weights.h5`)).tensors.get('bfloat16/kernel')?.dtype).to.equal(
      'bfloat16',
    )
    const legacy = await openSave(`${FOLDER}/dtypes.h5`)
    const error = await rejection(legacy.read('dtypes/bfloat16/kernel'))
    expect(error).to.be.instanceOf(CheckpointFormatError)
    expect(error.message).to.contain('tensor dtypes/bfloat16/kernel has element type opaque (2 bytes)')
  })

  it('keeps apart weights to which Keras gave one name', async () => {
    const bytes = await writeHdf5((to) => {
      to.create_attribute('layer_names', ['a', 'b'])
      for (const [i, layer] of ['a', 'b'].entries()) {
        const group = to.create_group(layer)
        group.create_attribute('weight_names', ['Variable:0', `own_${layer}:0`])
        group.create_dataset({ name: 'Variable:0', data: new Float32Array([i]), shape: [1] })
        group.create_dataset({ name: `own_${layer}:0`, data: new Float32Array([i + 2]), shape: [1] })
      }
    })
    const read = await valuesOf(await openSave(file('one-name.h5', bytes)))
    expect(Object.entries(read).map(([name, { values }]) => [name, values])).to.deep.equal([
      ['a/Variable:0', [0]],
      ['own_a:0', [2]],
      ['b/Variable:0', [1]],
      ['own_b:0', [3]],
    ])
  })

  for (const [what, change, message] of [
    ['names a weight that is not there', ['b:0', 'c:0'], /weight c:0 of layer a has no dataset a\/c:0/],
    ['leaves a weight out', [], /dataset a\/b:0 is in no list of weights \(weight_names\)/],
  ] as const) {
    it(`refuses a file whose list ${what}`, async () => {
      const bytes = await writeHdf5((to) => {
        to.create_attribute('layer_names', ['a'])
        const group = to.create_group('a')
        if (change.length > 0) group.create_attribute('weight_names', [...change])
        group.create_dataset({ name: 'b:0', data: new Float32Array(1), shape: [1] })
      })
      const error = await rejection(openSave(file('list.h5', bytes)))
      expect(error).to.be.instanceOf(CheckpointError)
      expect(error.message).to.match(message)
    })
  }

  describe('split over files', () => {
    const index = JSON.parse(readFileSync(`${FOLDER}/sharded.weights.json`, 'utf8')) as {
      weight_map: Record<string, string | string[]>
    }

    /** A folder with copies of the shards under an index that may be changed. */
    function folderOf(
      name: string,
      epochs: readonly string[],
      change: (map: Record<string, string[]>) => void,
    ): string {
      const folder = file(name)
      mkdirSync(folder)
      for (const epoch of epochs) {
        const map = Object.fromEntries(
          Object.entries(index.weight_map).map(([group, shards]) => [
            group,
            [shards].flat().map((shard) => shard.replace('sharded', epoch)),
          ]),
        )
        for (const shard of new Set(Object.values(map).flat()))
          copyFileSync(`${FOLDER}/${shard.replace(epoch, 'sharded')}`, join(folder, shard))
        change(map)
        writeFileSync(join(folder, `${epoch}.weights.json`), JSON.stringify({ weight_map: map }))
      }
      return folder
    }

    it('is one checkpoint for each index', async () => {
      const folder = folderOf('sharded', ['01', '02'], () => undefined)
      const { stepUnit, checkpoints, leftOut } = await openTrajectory(folder)
      expect(stepUnit).to.equal('epoch')
      expect(checkpoints.map(({ path, step }) => [path, step])).to.deep.equal([
        [join(folder, '01.weights.json'), 1],
        [join(folder, '02.weights.json'), 2],
      ])
      expect(leftOut).to.have.length(6)
      expect(leftOut[0]?.reason).to.equal('a part of the checkpoint 01.weights.json')
    })

    const FAULTS: readonly [string, (map: Record<string, string[]>) => void, RegExp][] = [
      [
        'lists a file elsewhere',
        (map) => (map['/layers/dense/vars'] = ['../01_00000.weights.h5']),
        /lists the shard "\.\.\/01_00000\.weights\.h5", which is no \.h5 file of this folder/,
      ],
      [
        'lists a shard that is not there',
        (map) => (map['/layers/dense/vars'] = ['01_00007.weights.h5']),
        /01_00007\.weights\.h5: missing, though 01\.weights\.json lists it/,
      ],
      [
        'does not list what a shard holds',
        (map) => delete map['/layers/dense/vars'],
        /holds layers\/dense\/vars\/0, which 01\.weights\.json does not place there/,
      ],
      [
        'places what is not there',
        (map) => (map['/layers/dense_9/vars'] = ['01_00000.weights.h5']),
        /01_00000\.weights\.h5: holds nothing of layers\/dense_9\/vars/,
      ],
    ]
    for (const [what, change, message] of FAULTS) {
      it(`is refused when its index ${what}`, async () => {
        const folder = folderOf(what, ['01'], change)
        const error = await rejection(openSave(join(folder, '01.weights.json')))
        expect(error).to.be.instanceOf(CheckpointError)
        expect(error.message).to.match(message)
      })
    }
  })

  describe('as an archive', () => {
    async function entriesOf(name: string): Promise<Map<string, Uint8Array>> {
      const path = `${FOLDER}/${name}`
      const entries = await withFile(path, CheckpointError, (opened) => listZip(opened, CheckpointError))
      const contents = new Map<string, Uint8Array>()
      for (const entry of entries.values())
        contents.set(entry.name, await readZipEntry(path, entry, 1e6, CheckpointError))
      return contents
    }

    it('is read as well when it was packed again with compression', async () => {
      const entries = [...(await entriesOf('functional.keras'))].map(([name, data]) => ({
        name,
        data,
        deflate: true,
      }))
      const save = await openSave(file('packed.keras', writeZip(entries)))
      expect(await valuesOf(save)).to.deep.equal(expected['functional.keras'])
    })

    it('is read as well from the folder that Keras makes of it for a hub', async () => {
      const folder = file('unpacked')
      mkdirSync(folder)
      for (const epoch of ['epoch-1', 'epoch-2', 'epoch-3']) {
        mkdirSync(join(folder, epoch))
        for (const [name, data] of await entriesOf('functional.keras'))
          writeFileSync(join(folder, epoch, name), data)
      }
      const opened = await kerasFolder.open(join(folder, 'epoch-1'))
      if ('reason' in opened) throw new Error(opened.reason)
      expect(await valuesOf(opened.saves[0]!)).to.deep.equal(expected['functional.keras'])
      const { format, stepUnit, checkpoints } = await openTrajectory(folder)
      expect([format, stepUnit, ...checkpoints.map(({ step }) => step)]).to.deep.equal([
        'Keras folders',
        'epoch',
        1,
        2,
        3,
      ])
    })

    it('is refused by its checksum when a weight has changed', async () => {
      const bytes = readFileSync(`${FOLDER}/functional.keras`)
      const kernel = Buffer.from(
        Float32Array.from(expected['functional.keras']!['last/kernel']!.values).buffer,
      )
      const at = bytes.indexOf(kernel)
      expect(at).to.be.greaterThan(0)
      bytes[at]! ^= 1
      const error = await rejection((await openSave(file('flipped.keras', bytes))).read('last/kernel'))
      expect(error).to.be.instanceOf(CheckpointError)
      expect(error.message).to.contain("entry 'model.weights.h5' does not match its size or checksum")
    })

    it('is refused without its configuration, and when that is no JSON', async () => {
      const entries = await entriesOf('functional.keras')
      const zip = (change: (copy: Map<string, Uint8Array>) => void): Buffer => {
        const copy = new Map(entries)
        change(copy)
        return writeZip([...copy].map(([name, data]) => ({ name, data })))
      }
      const bare = file(
        'bare.keras',
        zip((copy) => copy.delete('config.json')),
      )
      expect((await rejection(openSave(bare))).message).to.contain('a .keras file without config.json')
      const torn = file(
        'torn.keras',
        zip((copy) => copy.set('config.json', Buffer.from('{"class'))),
      )
      expect((await rejection(openSave(torn))).message).to.contain('config.json is no JSON')
    })
  })

  it('follows no link, and reads nothing from another file', async () => {
    const linked = await openSave(`${FOLDER}/links.weights.h5`)
    expect([...linked.tensors.keys()]).to.deep.equal(['dense/kernel'])
    for (const [name, reason] of [
      ['virtual.weights.h5', /its values are in other files \(a virtual dataset\)/],
      ['external.weights.h5', /unable to open external raw data file/],
    ] as const) {
      const save = await openSave(`${FOLDER}/${name}`)
      const error = await rejection(save.read('dense/kernel'))
      expect(error).to.be.instanceOf(CheckpointError)
      expect(error.message).to.match(reason)
    }
  })

  it('ends at groups that contain themselves', async () => {
    const error = await rejection(openSave(`${FOLDER}/circle.weights.h5`))
    expect(error).to.be.instanceOf(CheckpointError)
    expect(error.message).to.contain('groups are nested deeper than 32')
  })

  it('ends every damaged file in a right reading or an error with its reason', async function () {
    this.timeout(300_000)
    const random = new Random('keras')
    const names = ['functional.keras', 'functional.weights.h5', 'keras-2.h5', 'sharded_00001.weights.h5']
    let failures = 0
    for (let i = 0; i < 60; i += 1) {
      const name = names[i % names.length]!
      const damaged = damage(readFileSync(`${FOLDER}/${name}`), random)
      const path = file(name.replace('sharded', 'damaged'), damaged)
      const outcome = await openSave(path)
        .then(valuesOf)
        .catch((error: unknown) => error)
      if (!(outcome instanceof Error)) continue
      failures += 1
      if (
        /^a Keras file without weights|^HDF5 without the dataset|^a zip archive without/.test(outcome.message)
      )
        continue
      expect(outcome, outcome.stack).to.be.instanceOf(RetrogradError)
      expect(outcome.message).to.contain(path)
    }
    expect(failures).to.be.greaterThan(15)
  })
})

/** A copy with some bits flipped, cut off, or with a piece of itself in another place. */
function damage(bytes: Buffer, random: Random): Buffer {
  const place = (): number => Math.floor(random.next() * bytes.length)
  const copy = Buffer.from(bytes)
  switch (Math.floor(random.next() * 3)) {
    case 0:
      return copy.subarray(0, place())
    case 1:
      for (let i = 0; i < 16; i += 1) copy[place()]! ^= 1 << Math.floor(random.next() * 8)
      return copy
    default:
      bytes.copy(copy, place(), place(), Math.min(bytes.length, place() + 200))
      return copy
  }
}
