import { readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect } from 'chai'
import { decode } from 'fast-png'
import type { Browser, BrowserContextOptions, ConsoleMessage, Locator, Page } from 'playwright-core'
import type { RunAnalysis } from '../../src/analysis/model.js'
import { renderPage } from '../../src/report/page.js'
import { readPageScripts } from '../../src/report/scripts.js'
import { newFolder } from '../cli/command.js'

export const DESKTOP = { viewport: { width: 1280, height: 900 } } as const
export const PHONE = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true } as const

/** A page of a browser, and what went wrong in it. */
export interface Visit {
  readonly page: Page
  /** What was written to the console, thrown, asked for from elsewhere, or popped up. */
  readonly complaints: readonly string[]
}

/** Writes a page to a file; its URL. */
export async function written(run: RunAnalysis): Promise<string> {
  const path = join(newFolder(), 'report.html')
  writeFileSync(path, renderPage(run, await readPageScripts()))
  return pathToFileURL(path).href
}

export async function visit(
  browser: Browser,
  url: string,
  options: BrowserContextOptions = DESKTOP,
): Promise<Visit> {
  const context = await browser.newContext(options)
  const page = await context.newPage()
  const complaints: string[] = []
  page.on('console', (message: ConsoleMessage) => complaints.push(`${message.type()}: ${message.text()}`))
  page.on('pageerror', (error) => complaints.push(`thrown: ${error.message}`))
  page.on('request', (request) => {
    if (request.url() !== url && !request.url().startsWith('data:'))
      complaints.push(`request: ${request.url()}`)
  })
  page.on('dialog', (dialog) => {
    complaints.push(`dialog: ${dialog.message()}`)
    void dialog.dismiss()
  })
  await page.goto(url)
  return { page, complaints }
}

/** Scrolls through the page, so that everything comes into view. */
export async function scrollThrough(page: Page): Promise<void> {
  for (const plot of await page.locator('.plot').all())
    await showPlot(page, (await plot.getAttribute('data-figure'))!)
}

/** Brings a figure into view, and waits until it is drawn. */
export async function showPlot(page: Page, figure: string): Promise<Locator> {
  const plot = page.locator(`.plot[data-figure="${figure}"]`)
  await plot.scrollIntoViewIfNeeded()
  await page.locator(`.plot[data-figure="${figure}"][data-drawn]`).waitFor()
  return plot
}

/** Shows what is folded away. */
export async function openDetails(page: Page): Promise<void> {
  const closed = page.locator('details:not([open]) > summary')
  while ((await closed.count()) > 0) await closed.first().click()
}

/** Number of colors in the picture of an element: one where it is blank. */
export async function colorsOf(element: Locator): Promise<number> {
  const { data, channels } = decode(await element.screenshot())
  const colors = new Set<number>()
  for (let i = 0; i < data.length; i += channels)
    colors.add((data[i]! << 16) | (data[i + 1]! << 8) | data[i + 2]!)
  return colors.size
}

interface AxeResult {
  readonly violations: readonly {
    readonly id: string
    readonly impact: string
    readonly nodes: readonly { readonly html: string }[]
  }[]
  readonly passes: readonly unknown[]
}

/** Serious and critical violations that axe-core finds, as `rule: element`. */
export async function violations(page: Page): Promise<string[]> {
  // as text: the page's policy lets no other script in, and evaluation by the browser's debugger is not under it
  await page.evaluate(readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8'))
  const result = await page.evaluate<AxeResult>('axe.run()')
  expect(result.passes.length).to.be.above(20)
  return result.violations
    .filter(({ impact }) => ['serious', 'critical'].includes(impact))
    .flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html.slice(0, 200)}`))
}

/** Waits until a value is as it should be. */
export async function expectSoon<T>(get: () => Promise<T>, holds: (value: T) => boolean): Promise<void> {
  for (let tries = 0; tries < 100; tries += 1) {
    if (holds(await get())) return
    await new Promise((resolve) => setTimeout(resolve, 30))
  }
  throw new Error('it did not come to hold')
}
