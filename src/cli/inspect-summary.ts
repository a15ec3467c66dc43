import { basename } from 'node:path'
import type { Colors } from 'picocolors/types.js'
import type { Inspection, TensorReport } from '../trajectory/inspect/inspect.js'
import { short } from '../trajectory/inspect/tensor-problems.js'
import { listNames } from '../listing.js'
import { formatShape } from '../tensor.js'
import type { BindingReport } from './inspect-binding.js'
import { grouped } from '../counting.js'
import { byteSize, sparkline, table } from './text.js'

/** Tensors beyond this many are counted, not listed. */
const LISTED_TENSORS = 40

/** What `retrograd inspect` prints for people. */
export function renderInspection(
  inspection: Inspection,
  binding: BindingReport | undefined,
  color: Colors,
): string {
  return [
    '',
    ...headline(inspection, color),
    ...origin(inspection),
    '',
    ...tensors(inspection, color),
    ...leftOut(inspection),
    ...(binding === undefined ? [] : ['', ...bindingLines(binding, color)]),
    '',
    ...problems(inspection, binding?.failed === true, color),
    '',
  ].join('\n')
}

function headline({ trajectory, bytes, tensors }: Inspection, color: Colors): string[] {
  const { checkpoints, format } = trajectory
  const weights = tensors.filter(({ isWeight }) => isWeight)
  const parameters = weights.reduce((sum, { size }) => sum + size, 0)
  return [
    `  ${color.bold(`${grouped(checkpoints.length)} checkpoints`)} · ${format} · ${byteSize(bytes)} · ` +
      `${grouped(parameters)} parameters in ${weights.length} tensors`,
  ]
}

function origin({ trajectory, spacing }: Inspection): string[] {
  const { checkpoints, stepUnit, notes } = trajectory
  const { smallest, largest, regular } = spacing
  const apart = smallest === largest ? `${smallest}` : `${smallest} to ${largest}`
  const usually = regular === undefined || smallest === largest ? '' : `, mostly ${regular}`
  return [
    `  ${stepUnit} ${checkpoints[0]!.step} to ${checkpoints.at(-1)!.step}, ${apart} apart${usually}`,
    ...notes.map((note) => `  ${note}`),
  ]
}

function tensors({ tensors: all, valuesRead }: Inspection, color: Colors): string[] {
  const head = ['tensor', 'shape', 'type', ...(valuesRead ? ['norm', 'size of the updates'] : [''])]
  const rows = all
    .slice(0, LISTED_TENSORS)
    .map((tensor) => [
      tensor.name,
      formatShape(tensor.shape),
      tensor.dtype,
      ...(valuesRead ? [norms(tensor), updates(tensor)] : ['']),
    ])
  const hidden = all.length - LISTED_TENSORS
  return [
    ...table([head, ...rows], color),
    ...(hidden > 0 ? [`  and ${hidden} more tensors (--json lists all)`] : []),
  ]
}

function norms({ normFirst, normLast }: TensorReport): string {
  return normFirst === undefined || normLast === undefined ? '' : `${short(normFirst)} → ${short(normLast)}`
}

function updates({ updates: sizes = [] }: TensorReport): string {
  const known = sizes.filter((size) => Number.isFinite(size))
  return known.length < 2 || known.every((size) => size === 0) ? '' : sparkline(known)
}

function leftOut({ trajectory: { leftOut: files } }: Inspection): string[] {
  const reasons = new Map<string, string[]>()
  for (const { path, reason } of files) reasons.set(reason, [...(reasons.get(reason) ?? []), basename(path)])
  return [...reasons].map(([reason, names]) => `  left out: ${listNames(names, 4)} (${reason})`)
}

function bindingLines({ model, text, failed, written }: BindingReport, color: Colors): string[] {
  const said = failed
    ? [`  ${color.red('✗')} ${color.bold(model)} does not fit`]
    : [`  ${color.green('fits')} ${color.bold(model)}`]
  return [...said, ...text.split('\n').map((line) => `    ${line}`), ...mapLine(written)]
}

function mapLine(written: BindingReport['written']): string[] {
  if (written === undefined) return []
  const { path, open } = written
  const count = open === 1 ? 'the entry that says' : `the ${open} entries that say`
  const next = open === 0 ? '' : `: put a tensor's name or null into ${count} "?"`
  return [`    the map is in ${path}${next}; --map ${path} applies it`]
}

function problems({ problems: found, valuesRead }: Inspection, isMisfit: boolean, color: Colors): string[] {
  const unread = valuesRead
    ? []
    : [
        `  ${color.dim('headers only: --values reads the numbers too (NaN, jumps, zero updates, rounding, order)')}`,
      ]
  const fine = isMisfit ? 'nothing is wrong with the checkpoints themselves' : 'nothing wrong was found'
  if (found.length === 0) return [`  ${color.green(fine)}`, ...unread]
  return [
    `  ${color.red(`${found.length} ${found.length === 1 ? 'thing is' : 'things are'} wrong`)}`,
    ...found.map(({ message }) => `  ${color.red('✗')} ${message.replaceAll('\n', '\n    ')}`),
    ...unread,
  ]
}
