import { readFileSync, symlinkSync } from 'node:fs'
import { basename } from 'node:path'
import { expect } from 'chai'

import { CheckpointError, CheckpointFormatError } from '../../src/errors.js'
import { openTrajectory } from '../../src/trajectory/open-trajectory.js'
import { npz } from '../../src/trajectory/formats/npz.js'
import { writeZip, type EntryToWrite } from '../io/write-zip.js'
import { npyBytes } from '../support/npy.js'
import { rejection } from '../support/rejection.js'
import { expectSoundAnswers, fixtureFiles } from './damage.js'
import { expectRecorded, floatsOf, FORMATS_FOLDER, recordedByPyTorch, stepsOf } from './recorded-run.js'
import { vectors } from './write-checkpoints.js'
import { useRuns } from './write-runs.js'

const float = (...values: number[]): Uint8Array =>
  npyBytes({ type: '<f4', shape: [values.length], values: Float32Array.from(values) })
const count = (value: bigint): Uint8Array =>
  npyBytes({ type: '<i8', shape: [], values: BigInt64Array.of(value) })
const archive = (
  arrays: Readonly<Record<string, Uint8Array>>,
  change: Partial<EntryToWrite> = {},
): Uint8Array =>
  writeZip(Object.entries(arrays).map(([name, data]) => ({ name: `${name}.npy`, data, ...change })))
const byNumPy = (name: string): Uint8Array => readFileSync(`fixtures/data/${name}.npy`)

describe('checkpoints of NumPy', () => {
  const run = useRuns()

  for (const [id, steps] of [
    ['npy', 'step: 0, 10, 20, 30'],
    ['npz', 'step: 0, 10, 20, 30'],
    ['npz-compressed', 'epoch: 1, 2, 3, 4'],
  ] as const)
    it(`are read as ${id} holds them`, async () => {
      expect(stepsOf(await expectRecorded(id, recordedByPyTorch))).to.equal(steps)
    })

  for (const kind of ['folders', 'archives'] as const)
    it(`give big-endian and Fortran-ordered arrays in ${kind} in row-major order`, async () => {
      const names = ['float32', 'float32-fortran', 'float64-big-endian', 'float16-fortran']
      const arrays = Object.fromEntries(names.map((name) => [name, byNumPy(name)]))
      const folder = run(
        kind === 'archives'
          ? { 'step-1.npz': archive(arrays), 'step-2.npz': archive(arrays, { deflate: true }) }
          : Object.fromEntries(
              names.flatMap((name) => [1, 2].map((step) => [`step-${step}/${name}.npy`, arrays[name]!])),
            ),
      )
      for (const checkpoint of (await openTrajectory(folder)).checkpoints) {
        const found = await floatsOf(checkpoint)
        const { values } = found.get('float32')!
        expect(found.get('float32-fortran')).to.deep.equal({ shape: [4, 3, 2], values })
        expect(found.get('float64-big-endian')!.values).to.deep.equal(values)
        expect(found.get('float16-fortran')!.values).to.deep.equal(values)
      }
    })

  it('take scalars with the names of counters for counters, and whole numbers for no weights', async () => {
    const step = (value: number): Uint8Array =>
      archive({ w: float(value), step: count(BigInt(value)), epoch: float(1), labels: byNumPy('labels-i4') })
    const trajectory = await openTrajectory(run({ 'save-1.npz': step(70), 'save-2.npz': step(60) }))
    expect(stepsOf(trajectory)).to.equal('step: 60, 70')
    expect([...trajectory.checkpoints[0]!.tensors.keys()]).to.deep.equal(['w', 'labels'])
    const error = await rejection(trajectory.checkpoints[0]!.read('labels'))
    expect(error.message).to.match(/tensor labels holds int32, not floats/)
  })

  it('read folders within the folder of a step as parts of names', async () => {
    const trajectory = await openTrajectory(
      run({ 'step_1/net/fc/w.npy': float(1), 'step_2/net/fc/w.npy': float(2), 'step_2/notes.txt': 'x' }),
    )
    expect(stepsOf(trajectory)).to.equal('step: 1, 2')
    expect([...(await trajectory.checkpoints[1]!.read('net/fc/w')).data]).to.deep.equal([2])
  })

  it('leave out data beside checkpoints of another format, and archives without a number', async () => {
    const checkpoints = { 'a-1.safetensors': vectors({ a: [1] }), 'a-2.safetensors': vectors({ a: [2] }) }
    const { leftOut } = await openTrajectory(run({ ...checkpoints, 'cifar10.npz': archive({ x: float(1) }) }))
    expect(leftOut.map(({ reason }) => reason)).to.deep.equal(['data in a NumPy archive, not a checkpoint'])
    const saves = { 'step-1.npz': archive({ w: float(1) }), 'step-2.npz': archive({ w: float(2) }) }
    const trajectory = await openTrajectory(run({ ...saves, 'train.npz': archive({ x: float(1) }) }))
    expect(trajectory.leftOut.map(({ path }) => basename(path))).to.deep.equal(['train.npz'])
  })

  it('say of bfloat16, which NumPy saves without its name, that it is not read', async () => {
    const bytes = Buffer.from(float(1, 2)).toString('latin1').replace('<f4', '|V2').replace('(2,)', '(4,)')
    const half = Buffer.from(bytes, 'latin1')
    const trajectory = await openTrajectory(
      run({ 'step-1.npz': archive({ w: half }), 'step-2.npz': archive({ w: half }) }),
    )
    const error = await rejection(trajectory.checkpoints[0]!.read('w'))
    expect(error).to.be.instanceOf(CheckpointFormatError)
    expect(error.message).to.match(/tensor w has element type \|V2, which is not read; save it as float32/)
  })

  it('open by the headers alone: a damaged value is noticed, by its checksum, when it is read', async () => {
    const sound = archive({ w: float(1, 2, 3), b: float(4) })
    const damaged = Buffer.from(sound)
    damaged[damaged.indexOf(Buffer.from(Float32Array.of(2).buffer))] = 1
    const { checkpoints } = await openTrajectory(run({ 'step-1.npz': sound, 'step-2.npz': damaged }))
    expect([...(await checkpoints[1]!.read('b')).data]).to.deep.equal([4])
    const error = await rejection(checkpoints[1]!.read('w'))
    expect(error).to.be.instanceOf(CheckpointError)
    expect(error.message).to.match(/step-2\.npz: .*entry 'w\.npy' does not match its size or checksum/)
  })

  const BAD: readonly [what: string, content: Uint8Array | string, message: RegExp][] = [
    [
      'an archive that was cut off',
      archive({ w: float(1) }).subarray(0, -9),
      /step-2\.npz: corrupt or truncated zip/,
    ],
    ['an empty file', '', /step-2\.npz: corrupt or truncated zip/],
    [
      'an array shorter than its header says',
      archive({ w: float(1, 2).subarray(0, -4) }),
      /w: truncated: its header promises 136/,
    ],
    [
      'an array that is none',
      archive({ w: Buffer.from('no array at all') }),
      /step-2\.npz: w: not an \.npy file/,
    ],
    [
      'a deflated array that claims another size',
      archive({ w: float(1) }, { deflate: true, claimedSize: 400 }),
      /w: corrupt: its header promises 132 bytes, it has 400/,
    ],
  ]
  for (const [what, content, message] of BAD)
    it(`refuse ${what}`, async () => {
      const error = await rejection(
        openTrajectory(run({ 'step-1.npz': archive({ w: float(1) }), 'step-2.npz': content })),
      )
      expect(error).to.be.instanceOf(CheckpointError)
      expect(error.message).to.match(message)
    })

  it('say of an archive without arrays that it is none', async () => {
    const folder = run({ 'a-1.npz': writeZip([{ name: 'readme.txt', data: Buffer.from('x') }]) })
    expect(await npz.open(`${folder}/a-1.npz`)).to.deep.equal({ reason: 'a zip archive without .npy arrays' })
  })

  it('refuse links out of the folder, and folders without end', async () => {
    const outside = run({ 'w.npy': float(1) })
    const linked = run({ 'step-1/w.npy': float(1), 'step-2/b.npy': float(1) })
    symlinkSync(`${outside}/w.npy`, `${linked}/step-2/w.npy`)
    expect((await rejection(openTrajectory(linked))).message).to.match(
      /w\.npy, which is a link that leads out/,
    )
    const deep = run({
      'step-1/w.npy': float(1),
      [`step-2/w.npy`]: float(1),
      [`step-2/${'d/'.repeat(20)}w.npy`]: float(1),
    })
    expect((await rejection(openTrajectory(deep))).message).to.match(/more than 16 folders deep/)
  })

  it('answer damage with an error of their own, never with other numbers', async () => {
    const files = fixtureFiles(`${FORMATS_FOLDER}/npz`, ['step_0.npz', 'step_10.npz'])
    await expectSoundAnswers(files, run, 150, true)
    const packed = fixtureFiles(`${FORMATS_FOLDER}/npz-compressed`, ['epoch01.npz', 'epoch02.npz'])
    await expectSoundAnswers(packed, run, 150, true)
  })
})
