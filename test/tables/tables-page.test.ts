import { readFileSync } from 'node:fs'
import { expect } from 'chai'
import { tablesPage } from '../../scripts/tables-page.js'

describe('docs/tables.md', () => {
  it('is what the schema gives: run `npm run docs`', () => {
    expect(readFileSync('docs/tables.md', 'utf8')).to.equal(tablesPage())
  })
})
