import { curvatureWarnings, measureCurvature } from '../analysis/curvature.js'
import { summarizeResults } from '../analysis/summary.js'
import type { Manifest } from '../tables/manifest.js'
import { openResults } from '../tables/read.js'
import { formatSeconds } from './progress.js'
import { renderSummary } from './summary.js'
import { colors } from './text.js'

/** What is reported: results that were just written. */
export interface Finished {
  readonly out: string
  readonly json: boolean
  readonly manifest: Manifest
  /** When the command began, in milliseconds. */
  readonly started: number
}

/** Prints the summary of a results folder, for people or as JSON. */
export async function report({ out, json, manifest, started }: Finished): Promise<void> {
  const results = await openResults(out)
  const steps = await results.readTable('steps')
  const summary = await summarizeResults(results, steps)
  const { tolerance, maxSplits } = manifest.options as { tolerance: number; maxSplits: number }
  const curvature = measureCurvature(steps, maxSplits)
  const warnings = curvatureWarnings(curvature, maxSplits)
  if (json) {
    const facts = {
      out,
      status: manifest.status,
      tolerance,
      result: manifest.result,
      device: manifest.device ?? null,
      batchnorm: manifest.model.batchnorm ?? null,
      ...summary,
      stride: curvature.stride,
      warnings,
      tables: manifest.tables,
    }
    process.stdout.write(`${JSON.stringify(facts, null, 2)}\n`)
    return
  }
  const seconds = formatSeconds((Date.now() - started) / 1000)
  process.stdout.write(renderSummary({ summary, manifest, out, curvature, warnings, seconds }, colors()))
}
