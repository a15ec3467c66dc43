import { readFile } from 'node:fs/promises'
import { reasonOf, ResultsError } from '../errors.js'

/** The programs that a page carries. */
export interface PageScripts {
  /** Vega as its package has it for browsers; sets the global `vega`. */
  readonly vega: string
  /** src/report/client, joined by scripts/bundle.ts. */
  readonly client: string
}

/**
 * Reads the programs from where they are installed: the one place in report/ that knows files. Throws ResultsError where
 * one is missing.
 */
export async function readPageScripts(): Promise<PageScripts> {
  const vega = await readScript(new URL('vega.min.js', import.meta.resolve('vega')))
  const client = await readScript(new URL('report-client.js', import.meta.url))
  // tools for developers would look for the map, which is not there
  return { vega: vega.replace(/\n?\/\/# sourceMappingURL=\S+\s*$/, ''), client }
}

async function readScript(url: URL): Promise<string> {
  let text
  try {
    text = await readFile(url, 'utf8')
  } catch (error) {
    throw new ResultsError(`cannot read a part of retrograd: ${reasonOf(error)}; install it again`, {
      cause: error,
    })
  }
  if (/<\/script|<!--/i.test(text))
    throw new ResultsError(`${url.pathname} would end the script element of a page; install retrograd again`)
  return text
}
