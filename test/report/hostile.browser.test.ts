import { expect } from 'chai'
import { FIGURES } from '../../src/analysis/model.js'
import { removeFolders } from '../cli/command.js'
import { describeWithChromium } from './chromium.js'
import { HOSTILE, hostileRun, QUOTES } from './hostile.js'
import { madeUpRun } from './made-up.js'
import { expectSoon, scrollThrough, visit, written } from './visit.js'

describeWithChromium('the report of a run with hostile names in a browser', (browser) => {
  after(removeFolders)

  it('shows them as they are, everywhere, and runs nothing', async () => {
    const { page, complaints } = await visit(browser(), await written(hostileRun()))
    await scrollThrough(page)
    // tooltips too
    const plot = page.locator('.plot[data-figure="layers"]')
    await plot.locator('svg .mark-rect path').first().hover()
    expect(await page.locator('.tooltip').innerText()).to.include(HOSTILE)
    for (const select of await page.locator('select[data-signal]').all())
      await select.selectOption({ index: 1 })
    await page.locator('#tensor-table th button').first().click()
    await page.locator('#tensor-name').fill('<img')
    expect(await page.locator('#tensor-table tbody tr:not([hidden])').count()).to.equal(4)
    expect(await page.locator('img').count()).to.equal(0)
    // ours: one for each figure, and two programs
    expect(await page.locator('script').count()).to.equal(FIGURES.length + 2)
    expect(await page.title()).to.equal(`${HOSTILE} – retrograd`)
    expect(await page.locator('h1').innerText()).to.equal(HOSTILE)
    expect(await page.locator('.claim').first().innerText()).to.include(QUOTES)
    expect(await page.locator('.warnings').innerText()).to.include(QUOTES)
    expect(await page.locator('.facts').innerText()).to.include(`${HOSTILE} loss`)
    expect(await page.locator('select[data-of="units"] option').first().textContent()).to.include(HOSTILE)
    expect(await page.locator('#tensor-table tbody tr:not([hidden]) th').first().innerText()).to.include(
      HOSTILE,
    )
    expect(complaints).to.deep.equal([])
    await page.context().close()
  })

  it('would not let a program in that got past the escapes', async () => {
    const { page, complaints } = await visit(browser(), await written(madeUpRun({ intervals: 5, layers: 2 })))
    await page.evaluate(`document.body.insertAdjacentHTML('beforeend', '<img src="x" onerror="window.hit = 1">')
      const script = document.createElement('script')
      script.textContent = 'window.hit = 2'
      document.body.append(script)`)
    await expectSoon(
      () => Promise.resolve(complaints.filter((one) => /Content Security Policy/.test(one)).length),
      (count) => count >= 2,
    )
    expect(await page.evaluate('window.hit')).to.equal(undefined)
    await page.context().close()
  })
})
