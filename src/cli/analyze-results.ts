import { analyzeRun } from '../analysis/analyze.js'
import type { RunAnalysis } from '../analysis/model.js'
import { openOneRun } from './open-runs.js'

/** From here on, in milliseconds, a user should hear that something is done. */
const PATIENCE = 2000

/** Opens and analyses one run; where that takes long, says so. */
export async function analyzeResults(dir: string, run: string | undefined): Promise<RunAnalysis> {
  const { name, results } = await openOneRun(dir, run)
  const notice = setTimeout(() => process.stderr.write(`· analysing ${dir}\n`), PATIENCE)
  try {
    return await analyzeRun(results, { name })
  } finally {
    clearTimeout(notice)
  }
}
