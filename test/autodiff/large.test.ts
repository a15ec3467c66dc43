import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'

const script = fileURLToPath(new URL('../support/large-graphs.js', import.meta.url))

/** Megabytes of JavaScript's heap, of which the process may take somewhat more than this. */
const HEAP = 700

describe('a network of 20,000 nodes is differentiated within a gigabyte', () => {
  const gradients = { chain: 1, layers: 5001, fan: 1 }
  for (const [name, count] of Object.entries(gradients))
    it(name, () => {
      const { stdout, stderr } = spawnSync(process.execPath, [`--max-old-space-size=${HEAP}`, script, name], {
        encoding: 'utf8',
      })
      expect(stderr).to.equal('')
      expect(Number(stdout)).to.equal(count)
    }).timeout(120_000)
})
