import type { RunAnalysis } from '../../src/analysis/model.js'
import { madeUpRun } from './made-up.js'

/** A name that runs a program wherever it is taken for HTML, and ends a script element wherever it is taken for text there. */
export const HOSTILE = '<img src=x onerror=alert(1)>'
/** A name that ends strings in HTML's attributes, JSON and Vega's expressions, and names fields in Vega-Lite. */
export const QUOTES = `"]'];alert(1)//\\</script><script>alert(1)</script>[a].b{{c}}&lt;`

/** A run of which everything that has a name of a file's is named by one that attacks. */
export function hostileRun(): RunAnalysis {
  const run = madeUpRun({
    intervals: 40,
    layers: 4,
    name: HOSTILE,
    splits: [HOSTILE, QUOTES],
    layerName: (place) => (place % 2 === 0 ? HOSTILE : QUOTES) + '.'.repeat(place),
  })
  return { ...run, facts: { ...run.facts, loss: HOSTILE, warnings: [QUOTES, HOSTILE] } }
}
