import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { readBatchFile } from '../../src/batch/config.js'
import type { BatchConfig } from '../../src/batch/config.js'
import { UsageError } from '../../src/errors.js'
import { BATCH_TABLE } from '../../src/cli/batch-options.js'
import { newFolder, removeFolders } from '../cli/command.js'
import { rejection } from '../support/rejection.js'

function fileWith(lines: readonly string[]): string {
  const path = join(newFolder(), 'batch.yaml')
  writeFileSync(path, `${lines.join('\n')}\n`)
  return path
}

const read = (...lines: string[]): Promise<BatchConfig> => readBatchFile(fileWith(lines), BATCH_TABLE)

/** What is wrong, the message that it must give behind the file's name, and the lines of the file. */
const WRONG: readonly (readonly [what: string, message: RegExp, lines: readonly string[]])[] = [
  ['broken YAML', /batch\.yaml:2: no YAML: /, ['out: a', 'find: b: c']],
  ['a key twice', /batch\.yaml:2: no YAML: Map keys must be unique/, ['out: a', 'out: b']],
  ['an empty file', /batch\.yaml: names no runs: add find/, ['']],
  ['no runs', /batch\.yaml: names no runs/, ['out: a']],
  ['a list instead of keys', /batch\.yaml: the file: a mapping \(key: value\) is needed/, ['- a']],
  [
    'a misspelt key',
    /batch\.yaml:2: defualts: is no key; did you mean defaults\?/,
    ['find: a', 'defualts: {}'],
  ],
  [
    'an option outside of defaults',
    /batch\.yaml:1: tolerance: is an option of runs: put it under defaults/,
    ['tolerance: 1', 'find: a'],
  ],
  [
    'a misspelt option',
    /batch\.yaml:3: defaults\.tolerence: is no key; did you mean tolerance\?/,
    ['find: a', 'defaults:', '  tolerence: 1'],
  ],
  [
    "an option in a program's spelling",
    /batch\.yaml:3: runs\[0\]\.batchSize: is no key; did you mean batch-size\?/,
    ['runs:', '  - checkpoints: a', '    batchSize: 1'],
  ],
  [
    'an option of the whole batch in a run',
    /batch\.yaml:3: runs\[0\]\.overwrite: is no key here; keys are name, checkpoints, model/,
    ['runs:', '  - checkpoints: a', '    overwrite: true'],
  ],
  [
    'text for a number',
    /batch\.yaml:4: runs\[1\]\.tolerance: a number is needed, not "small"/,
    ['runs:', '  - checkpoints: a', '  - checkpoints: b', '    tolerance: small'],
  ],
  [
    'no choice',
    /batch\.yaml:2: defaults\.granularity: one of tensor, unit, parameter is needed, not "units"/,
    ['find: a', 'defaults: {granularity: units}'],
  ],
  [
    'a list for text',
    /batch\.yaml:2: defaults\.model: text is needed, not \["a"\]/,
    ['find: a', 'defaults: {model: [a]}'],
  ],
  [
    'text for yes or no',
    /batch\.yaml:2: defaults\.soft-labels: true or false is needed, not "maybe"/,
    ['find: a', 'defaults: {soft-labels: maybe}'],
  ],
  [
    'a run without checkpoints',
    /batch\.yaml:2: runs\[0\]\.checkpoints: is missing/,
    ['runs:', '  - name: a'],
  ],
  [
    'a name that is a path',
    /batch\.yaml:2: runs\[0\]\.name: a name of letters, .* is needed, as lr-0\.1, not "a\/b"/,
    ['runs:', '  - {name: a/b, checkpoints: c}'],
  ],
  ['an empty list of runs', /batch\.yaml:1: runs: a run is needed/, ['runs: []']],
  [
    'a name for many without {name}',
    /batch\.yaml:2: find\[0\]\.name: a name with \{name\} in it is needed/,
    ['find:', '  - {path: a, name: b}'],
  ],
  [
    'an override without a name',
    /batch\.yaml:3: overrides\[0\]\.match: is missing/,
    ['find: a', 'overrides:', '  - tolerance: 1'],
  ],
]

describe('a batch file', () => {
  after(removeFolders)

  for (const [what, message, lines] of WRONG)
    it(`with ${what} is refused, naming file, line and key`, async () => {
      const error = await rejection(read(...lines))
      expect(error).to.be.instanceOf(UsageError)
      expect(error.message).to.match(message)
    })

  it('that is not there is refused by name', async () => {
    const error = await rejection(readBatchFile('nowhere.yaml', BATCH_TABLE))
    expect(error).to.be.instanceOf(UsageError)
    expect(error.message).to.match(/^nowhere\.yaml: cannot be read/)
  })

  it('says where runs are, and options of all, of some and of one', async () => {
    const config = await read(
      'out: results',
      'defaults: {loss: cross-entropy, pos-weight: 3, val: a.npz}',
      'find: [archive, {path: "more/*", name: "more-{name}", tolerance: 0.1}]',
      'runs:',
      '  - {name: x, checkpoints: x/c, soft-labels: true}',
      'overrides:',
      '  - {match: "lr-*", max-splits: 4}',
      '  - {match: [a, b], skip: true}',
    )
    expect(config.out).to.equal('results')
    expect(config.defaults).to.deep.equal({ loss: 'cross-entropy', 'pos-weight': '3', val: 'a.npz' })
    expect(config.find.map(({ path, name, options }) => ({ path, name, options }))).to.deep.equal([
      { path: 'archive', name: undefined, options: {} },
      { path: 'more/*', name: 'more-{name}', options: { tolerance: 0.1 } },
    ])
    expect(config.runs[0]).to.deep.include({
      name: 'x',
      checkpoints: 'x/c',
      options: { 'soft-labels': true },
    })
    expect(config.runs[0]!.where).to.match(/batch\.yaml:5$/)
    expect(config.overrides.map(({ match, skip }) => [match, skip])).to.deep.equal([
      [['lr-*'], false],
      [['a', 'b'], true],
    ])
  })

  it('takes 0:2 for text, as the command line does, and not for a time', async () => {
    const { defaults } = await read('find: a', 'defaults: {steps: 0:2}')
    expect(defaults).to.deep.equal({ steps: '0:2' })
  })
})
