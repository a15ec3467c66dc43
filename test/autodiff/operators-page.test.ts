import { readFileSync } from 'node:fs'
import { expect } from 'chai'
import { operatorsPage } from '../../scripts/operators-page.js'

describe('docs/operators.md', () => {
  it('is what `npm run docs` writes from the table of rules', () => {
    expect(readFileSync('docs/operators.md', 'utf8')).to.equal(operatorsPage())
  })
})
