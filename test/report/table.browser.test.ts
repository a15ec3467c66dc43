import { expect } from 'chai'
import type { Page } from 'playwright-core'
import { removeFolders } from '../cli/command.js'
import { describeWithChromium } from './chromium.js'
import { madeUpRun } from './made-up.js'
import { visit, written } from './visit.js'

describeWithChromium('the table of tensors in a browser', (browser) => {
  after(removeFolders)

  let url: string
  before(async () => {
    url = await written(madeUpRun({ intervals: 20, layers: 12, tensorsPerLayer: 3 }))
  })

  async function column(page: Page, place: number): Promise<string[]> {
    return page.locator(`#tensor-table tbody tr:not([hidden]) > :nth-child(${place})`).allInnerTexts()
  }

  const numbers = (texts: readonly string[]): number[] =>
    texts.map((text) => Number(text.replace('−', '-').replace('+', '')))

  it('sorts by a click on a column, the other way by a second one, and says how', async () => {
    const { page } = await visit(browser(), url)
    const heading = page.locator('#tensor-table th', { hasText: 'LCA train' })
    await heading.getByRole('button').click()
    const falling = numbers(await column(page, 4))
    expect(falling).to.deep.equal([...falling].sort((a, b) => b - a))
    expect(await heading.getAttribute('aria-sort')).to.equal('descending')
    await heading.getByRole('button').click()
    expect(numbers(await column(page, 4))).to.deep.equal([...falling].reverse())
    expect(await heading.getAttribute('aria-sort')).to.equal('ascending')
    const name = page.locator('#tensor-table th', { hasText: 'tensor' }).first()
    await name.getByRole('button').click()
    const names = await column(page, 1)
    expect(names.indexOf('block.2.linear.weight')).to.be.below(names.indexOf('block.10.linear.weight'))
    expect(await heading.getAttribute('aria-sort')).to.equal(null)
    await page.context().close()
  })

  it('sorts by keyboard', async () => {
    const { page } = await visit(browser(), url)
    await page.locator('#tensor-table th button').nth(2).focus()
    await page.keyboard.press('Enter')
    await page.keyboard.press('Space')
    const parameters = numbers((await column(page, 3)).map((text) => text.replace(',', '')))
    expect(parameters).to.deep.equal([...parameters].sort((a, b) => a - b))
    await page.context().close()
  })

  it('filters by name and role, by keyboard, and says how many are left', async () => {
    const { page, complaints } = await visit(browser(), url)
    await page.getByRole('searchbox', { name: 'Name' }).focus()
    await page.keyboard.type('BLOCK.1')
    // block.1, block.10 and block.11
    expect(await column(page, 1)).to.have.length(9)
    expect(await page.locator('#tensor-count').innerText()).to.equal('9 of 36 tensors')
    await page.getByRole('combobox', { name: 'Role' }).selectOption('bias')
    expect(await column(page, 1)).to.deep.equal([
      'block.1.linear.bias',
      'block.10.linear.bias',
      'block.11.linear.bias',
    ])
    await page.getByRole('searchbox', { name: 'Name' }).fill('')
    expect(await page.locator('#tensor-count').innerText()).to.equal('12 of 36 tensors')
    expect(complaints).to.deep.equal([])
    await page.context().close()
  })
})
