import type { RunAnalysis, TensorUnits } from '../../analysis/model.js'
import { choice, COMMON, stepAxis, type AbsentFigure, type Figure } from '../figure.js'
import { clipNote, divergingColor, robustLimit } from '../heat.js'
import { largest, short, sum } from '../reduce.js'
import { counted, signed } from '../text.js'

/** Tensors that may be chosen: each holds up to 6,400 numbers. */
const MOST_TENSORS = 12
const UNIT_HEIGHT = 7

/** LCA by unit (neuron, channel) and time, of one tensor at a time. */
export function unitsFigure(run: RunAnalysis): Figure | AbsentFigure {
  const { facts, splits } = run
  const { split, units } = splits[0]!
  const described = {
    name: 'units',
    title: 'Units: neurons and channels',
    reading:
      'One row for each output unit of the chosen tensor, one column for some neighbouring intervals. Rows that stay blue are units that carry the layer; rows without colour are units that do nothing.',
  } as const
  const tensors = chooseTensors(units?.tensors ?? [])
  if (tensors.length === 0)
    return {
      ...described,
      absent:
        units === undefined
          ? 'The tables hold no units: run with --granularity unit.'
          : 'No tensor has more than one unit.',
    }
  const limits = tensors.map(({ map }) => robustLimit(map.lca.flat()))
  return {
    ...described,
    description: `Heat map. ${tensors.map(describe).join(' ')}`,
    notes: [
      ...(splits.length > 1 ? [`Measured on ${split}.`] : []),
      ...(units!.tensors.length > tensors.length
        ? [
            `The ${tensors.length} of ${units!.tensors.length} tensors whose units moved the loss most can be chosen.`,
          ]
        : []),
      ...(tensors.some(({ count, map }) => count > map.units.length)
        ? ['Of tensors with more units those that moved the loss most are drawn.']
        : []),
      ...clipNote(tensors[0]!.map.lca.flat(), limits[0]!),
    ],
    spec: {
      ...COMMON,
      height: { step: UNIT_HEIGHT },
      params: [
        choice(
          'tensor',
          'Tensor',
          tensors.map(({ tensor }) => tensor),
        ),
        { name: 'limit', expr: `[${limits.join(',')}][tensor]` },
      ],
      data: { values: tensors.flatMap((tensor, place) => rowsOf(tensor, place, facts.steps)) },
      transform: [{ filter: 'datum.place === tensor' }, { flatten: ['lca', 'from', 'to'] }],
      mark: { type: 'rect' },
      encoding: {
        x: { field: 'from', ...stepAxis(run) },
        x2: { field: 'to' },
        y: {
          field: 'unit',
          type: 'ordinal',
          title: 'unit',
          axis: { labelOverlap: true, grid: false },
          scale: { padding: 0.04 },
        },
        color: divergingColor('lca', 'limit'),
        tooltip: [
          { field: 'unit', type: 'quantitative', title: 'unit' },
          { field: 'from', type: 'quantitative', title: `from ${facts.stepUnit}` },
          { field: 'to', type: 'quantitative', title: `to ${facts.stepUnit}` },
          { field: 'lca', type: 'quantitative', format: '+.3~g', title: 'LCA' },
        ],
      },
    },
  }
}

/** The tensors whose units moved the loss most, in the network's order. */
function chooseTensors(tensors: readonly TensorUnits[]): readonly TensorUnits[] {
  const moved = new Map(tensors.map((one) => [one, sum(one.map.lca.flat().map(Math.abs))]))
  const chosen = new Set([...tensors].sort((a, b) => moved.get(b)! - moved.get(a)!).slice(0, MOST_TENSORS))
  return tensors.filter((tensor) => chosen.has(tensor))
}

function rowsOf({ map }: TensorUnits, place: number, steps: readonly number[]) {
  const from = map.bins.slice(0, -1).map((t) => steps[t]!)
  const to = map.bins.slice(1).map((t) => steps[t]!)
  const largestLca = largest(map.lca.flat().map(Math.abs))
  // below a thousandth of the largest there is no colour to see
  const rounded = (value: number): number | null => (Math.abs(value) < largestLca * 1e-4 ? 0 : short3(value))
  return map.units.map((unit, i) => ({ place, unit, lca: map.lca[i]!.map(rounded), from, to }))
}

function short3(value: number): number | null {
  return Number.isFinite(value) ? Number(value.toPrecision(3)) : short(value)
}

function describe({ tensor, count, dead, half, best }: TensorUnits): string {
  return `${tensor}: ${counted(half, 'unit')} of ${count} carry half of what helps, unit ${best.unit} most with ${signed(best.lca)}; ${dead.length} never change the loss.`
}
