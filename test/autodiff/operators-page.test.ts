import { readFileSync } from 'node:fs'
import { expect } from 'chai'
import { FOLLOWED, REMARKS } from '../../scripts/operator-remarks.js'
import { operatorsPage } from '../../scripts/operators-page.js'
import { TREATMENTS } from '../../src/autodiff/rules/table.js'

describe('docs/operators.md', () => {
  it('is what `npm run docs` writes from the table of rules', () => {
    expect(readFileSync('docs/operators.md', 'utf8')).to.equal(operatorsPage())
  })

  it('remarks only on operators that there are', () => {
    expect([...Object.keys(REMARKS), ...FOLLOWED].filter((op) => !TREATMENTS.has(op))).to.deep.equal([])
  })

  it('says of every operator that is rewritten, refused or without a derivative what or why', () => {
    const silent = [...TREATMENTS].filter(
      ([op, { state }]) => state !== 'rule' && new RegExp(`\\| ${op} \\| .* \\|  \\|`).test(operatorsPage()),
    )
    expect(silent.map(([op]) => op)).to.deep.equal([])
  })
})
