/**
 * Takes pictures of a run's report for the README, in light and dark:
 *
 *     npm run demo && node dist/scripts/report-picture.js demo docs/report
 *
 * writes docs/report.png and docs/report-dark.png: the head of the page, its findings and its first figure.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Browser } from 'playwright-core'
import { analyzeRun } from '../src/analysis/analyze.js'
import { renderPage } from '../src/report/page.js'
import { readPageScripts } from '../src/report/scripts.js'
import { openResults } from '../src/tables/read.js'
import { launch } from '../test/report/chromium.js'

const WIDTH = 1040
/** The last figure that the picture shows. */
const LAST = '#figure-loss'

async function picture(
  browser: Browser,
  url: string,
  colorScheme: 'light' | 'dark',
  out: string,
): Promise<void> {
  const page = await browser.newPage({ viewport: { width: WIDTH, height: 1600 }, colorScheme })
  await page.goto(url)
  await page.locator(`${LAST} .plot[data-drawn]`).waitFor()
  const end = (await page.locator(`${LAST} .plot`).boundingBox())!
  await page.screenshot({
    path: out,
    clip: { x: 0, y: 0, width: WIDTH, height: Math.ceil(end.y + end.height) + 8 },
  })
  await page.close()
}

const [results, out] = process.argv.slice(2)
if (results === undefined || out === undefined) throw new Error('usage: report-picture RESULTS OUT')
const folder = mkdtempSync(join(tmpdir(), 'retrograd-'))
const path = join(folder, 'report.html')
writeFileSync(
  path,
  renderPage(
    await analyzeRun(await openResults(results), { name: 'LeNet on MNIST' }),
    await readPageScripts(),
  ),
)
const browser = await launch()
await picture(browser, pathToFileURL(path).href, 'light', `${out}.png`)
await picture(browser, pathToFileURL(path).href, 'dark', `${out}-dark.png`)
await browser.close()
rmSync(folder, { recursive: true })
