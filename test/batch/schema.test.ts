import { readFileSync } from 'node:fs'
import { expect } from 'chai'
import { batchJsonSchema } from '../../src/batch/schema.js'
import { BATCH_TABLE } from '../../src/cli/batch-options.js'
import { readBatchFile } from '../../src/batch/config.js'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { newFolder, removeFolders } from '../cli/command.js'

describe('docs/batch.schema.json', () => {
  after(removeFolders)

  it('is what the code reads: run `npm run docs`', () => {
    const now = JSON.parse(JSON.stringify(batchJsonSchema(BATCH_TABLE))) as unknown
    expect(JSON.parse(readFileSync('docs/batch.schema.json', 'utf8'))).to.deep.equal(now)
  })

  it("is named by the page's examples, which are read without complaint", async () => {
    const examples = [...readFileSync('docs/batch.md', 'utf8').matchAll(/```yaml\n(.*?)```/gs)].map(
      ([, text]) => text!,
    )
    expect(examples[0]).to.match(/^# yaml-language-server: \$schema=\S*docs\/batch\.schema\.json\n/)
    for (const [i, text] of examples.entries()) {
      const path = join(newFolder(), `${i}.yaml`)
      writeFileSync(path, text)
      await readBatchFile(path, BATCH_TABLE)
    }
  })
})
