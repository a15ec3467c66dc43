import type { Finding } from '../model.js'
import { holm } from '../statistics/holm.js'
import { FAMILIES, THRESHOLD, type Counted, type RunContext, type Tested } from './candidate.js'
import { hurtingLayers, laggingLayers, memorisingLayers, oscillatingLayers } from './layers.js'
import {
  concentratedLearning,
  deadTensors,
  deadUnits,
  doubts,
  helpingShare,
  jumps,
  misleadingFirstOrder,
  synchronousLayers,
} from './run.js'
import { counted, listed } from './text.js'

/** Findings of one kind that are told singly. */
const SINGLY = 4

/**
 * What the data of a run say, the most important first. Findings that rest on estimates are those whose test holds after
 * correction for all tests that were done (Holm within a kind, Bonferroni over the kinds), so that a run of pure noise
 * gives any with a chance of at most 1 %. What is counted (dead units, intervals that did not converge) needs no test.
 */
export function findAll(run: RunContext): Finding[] {
  const hurting = hold(hurtingLayers(run))
  const hurtingNames = new Set(hurting.flatMap(({ layer }) => (layer === undefined ? [] : [layer])))
  const tested = [
    memorisingLayers(run),
    oscillatingLayers(run),
    laggingLayers(run, hurtingNames),
    synchronousLayers(run),
    concentratedLearning(run),
    helpingShare(run),
    misleadingFirstOrder(run),
  ]
  const certain = [doubts(run), deadTensors(run), deadUnits(run), jumps(run)].flat()
  const findings = [...hurting, ...tested.flatMap(hold), ...certain.map(withoutTest)]
  return gather(findings.sort((a, b) => b.weight - a.weight))
}

/** The findings of one family whose tests hold. */
function hold(tests: readonly Tested[]): Finding[] {
  const corrected = holm(
    tests.map(({ p }) => p),
    FAMILIES.length,
  )
  return tests.flatMap(({ finding }, i) =>
    finding !== undefined && corrected[i]! < THRESHOLD ? [{ ...finding, p: corrected[i] }] : [],
  )
}

function withoutTest(finding: Counted): Finding {
  return { ...finding, p: undefined }
}

/** Of very many findings of one kind on one split the first are told singly, the others together. */
function gather(findings: readonly Finding[]): Finding[] {
  const alike = new Map<string, Finding[]>()
  for (const finding of findings) {
    const key = `${finding.kind} ${finding.split ?? ''}`
    alike.set(key, [...(alike.get(key) ?? []), finding])
  }
  return findings.flatMap((finding) => {
    const group = alike.get(`${finding.kind} ${finding.split ?? ''}`)!
    const place = group.indexOf(finding)
    if (group.length <= SINGLY + 1 || place < SINGLY) return [finding]
    return place === SINGLY ? [together(finding, group.slice(SINGLY))] : []
  })
}

const SAME: Readonly<Partial<Record<Finding['kind'], string>>> = {
  'hurting-layer': 'hurt too',
  'memorising-layer': 'memorise too',
  oscillation: 'go back and forth too',
  lag: 'follow an old gradient too',
  'dead-tensor': 'have tensors that do nothing too',
  'dead-units': 'have dead units too',
}

function together(first: Finding, group: readonly Finding[]): Finding {
  const names = [...new Set(group.flatMap(({ layer }) => (layer === undefined ? [] : [layer])))]
  const ps = group.flatMap(({ p }) => (p === undefined ? [] : [p]))
  return {
    ...first,
    text: `${counted(names.length, 'other layer')} ${SAME[first.kind] ?? 'do so too'}${first.split === undefined ? '' : ` on ${first.split}`}: ${listed(names)}.`,
    layer: undefined,
    p: ps.length === 0 ? undefined : Math.max(...ps),
  }
}
