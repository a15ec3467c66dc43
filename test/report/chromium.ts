import { existsSync } from 'node:fs'
import type { Browser } from 'playwright-core'

const PLACES = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/usr/bin/google-chrome-stable',
]

/**
 * Where Chromium is: what the variable CHROMIUM names (nothing where it is empty), or one of the usual places; undefined
 * where there is none.
 */
export const CHROMIUM = (process.env.CHROMIUM ?? PLACES.find((path) => existsSync(path))) || undefined

/** A suite that drives a browser; where there is none the suite is skipped and its title says so. */
export function describeWithChromium(title: string, body: (browser: () => Browser) => void): void {
  if (CHROMIUM === undefined) {
    describe(`${title} [skipped: no Chromium; install it or name it in CHROMIUM]`, () => {
      it.skip('needs Chromium')
    })
    return
  }
  describe(title, () => {
    let browser: Browser | undefined
    before(async () => {
      browser = await launch()
    })
    after(async () => {
      await browser?.close()
    })
    body(() => browser!)
  })
}

export async function launch(): Promise<Browser> {
  const { chromium } = await import('playwright-core')
  if (CHROMIUM === undefined) throw new Error('there is no Chromium; install it or name it in CHROMIUM')
  return chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] })
}
