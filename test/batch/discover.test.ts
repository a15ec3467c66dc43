import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { expect } from 'chai'
import { discover } from '../../src/batch/discover.js'
import { UsageError } from '../../src/errors.js'
import { newFolder, removeFolders } from '../cli/command.js'
import { rejection } from '../support/rejection.js'

/** A folder of empty files: runs are found by names alone. */
function archive(...files: string[]): string {
  const folder = newFolder()
  for (const file of files) {
    mkdirSync(dirname(join(folder, file)), { recursive: true })
    writeFileSync(join(folder, file), '')
  }
  return folder
}

const saves = (folder: string): string[] => [0, 1].map((step) => `${folder}/step-${step}.safetensors`)

async function found(folder: string, pattern = ''): Promise<[string, string][]> {
  const { runs } = await discover(join(folder, pattern))
  return runs.map(({ name, checkpoints }) => [name, relative(folder, checkpoints)])
}

describe('runs in an archive', () => {
  after(removeFolders)

  it('are all folders that hold checkpoints, at any depth, in natural order', async () => {
    const folder = archive(
      ...saves('lr-10'),
      ...saves('lr-2'),
      ...saves('deep/er/than/that'),
      'notes/readme.txt',
    )
    expect(await found(folder)).to.deep.equal([
      ['deep-er-than-that', 'deep/er/than/that'],
      ['lr-2', 'lr-2'],
      ['lr-10', 'lr-10'],
    ])
  })

  it('are called by the folder around one that is just called checkpoints', async () => {
    const folder = archive(...saves('a/checkpoints'), ...saves('b/version_0/ckpts'))
    expect(await found(folder)).to.deep.equal([
      ['a', 'a/checkpoints'],
      ['b-version_0', 'b/version_0/ckpts'],
    ])
  })

  it('are folders of folders too, one for each step', async () => {
    const folder = archive('a/checkpoint-1/model.safetensors', 'a/checkpoint-2/model.safetensors')
    expect(await found(folder)).to.deep.equal([['a', 'a']])
  })

  it('are what a pattern names: folders, files of many saves, or what lies below', async () => {
    const folder = archive(
      ...saves('x/a/checkpoints'),
      ...saves('x/b/checkpoints'),
      'y/a/weights.h5',
      'y/b.1/weights.h5',
    )
    expect(await found(folder, 'x/*/checkpoints')).to.deep.equal([
      ['a', 'x/a/checkpoints'],
      ['b', 'x/b/checkpoints'],
    ])
    expect(await found(folder, 'y/*/weights.h5')).to.deep.equal([
      ['a', 'y/a/weights.h5'],
      ['b.1', 'y/b.1/weights.h5'],
    ])
    expect(await found(folder, '**/a')).to.deep.equal([['x-a', 'x/a/checkpoints']])
  })

  it('have names that are safe as folders: other characters become dashes', async () => {
    const folder = archive(...saves('lr 0,1/größe=3'), ...saves('.hidden'), ...saves('_x/--y'))
    expect(await found(folder)).to.deep.equal([
      ['x-y', '_x/--y'],
      ['lr-0-1-größe-3', 'lr 0,1/größe=3'],
    ])
  })

  it('are named themselves where the folder is one', async () => {
    const folder = archive(...saves('run-7/checkpoints'))
    expect((await discover(join(folder, 'run-7/checkpoints'))).runs[0]!.name).to.equal('run-7')
    expect((await discover(join(folder, 'run-7'))).runs[0]!.name).to.equal('run-7')
  })

  it('need two checkpoints: folders with one are told', async () => {
    const folder = archive(...saves('a'), 'b/step-0.safetensors')
    expect((await discover(folder)).single).to.deep.equal([join(folder, 'b')])
    const alone = await rejection(discover(join(folder, 'b')))
    expect(alone).to.be.instanceOf(UsageError)
    expect(alone.message).to.match(/only one each/)
  })

  it('are not looked for in the results', async () => {
    const folder = archive(...saves('a'), ...saves('results/b'))
    expect((await discover(folder, join(folder, 'results'))).runs.map(({ name }) => name)).to.deep.equal([
      'a',
    ])
  })

  it('are missed by name where nothing is found', async () => {
    expect((await rejection(discover('nowhere'))).message).to.match(
      /^nowhere: there is no such file or folder/,
    )
    const empty = archive('a/readme.txt')
    expect((await rejection(discover(empty))).message).to.match(/no folder there holds checkpoints .*inspect/)
  })
})
