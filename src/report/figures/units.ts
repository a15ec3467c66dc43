import type { RunAnalysis, TensorUnits, UnitMap } from '../../analysis/model.js'
import {
  binParameters,
  choice,
  COMMON,
  spreadOverBins,
  stepAxis,
  type AbsentFigure,
  type Figure,
} from '../figure.js'
import { divergingColor, robustLimit } from '../heat.js'
import { largest, sum } from '../reduce.js'
import { counted } from '../../counting.js'

/** Tensors that may be chosen: each holds up to 6,400 numbers. */
const MOST_TENSORS = 12
const UNIT_HEIGHT = 8

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
  const tensors = chooseTensors(units.tensors)
  if (tensors.length === 0)
    return {
      ...described,
      absent:
        units.tensors.length === 0
          ? 'No tensor has more than one unit.'
          : 'The tables hold no units by interval: retrograd run --granularity unit writes them.',
    }
  // the same for all tensors: they follow from the number of intervals
  const starts = tensors[0]!.map.bins.map((t) => facts.steps[t]!)
  const bins = { from: starts.slice(0, -1), to: starts.slice(1) }
  const limits = tensors.map(({ map }) => robustLimit(map.lca.flat()))
  return {
    ...described,
    description: `Heat map, one tensor at a time; the first is ${tensors[0]!.tensor}, ${counted(tensors[0]!.map.units.length, 'unit')}. The table below tells of each tensor’s units.`,
    notes: [
      ...(splits.length > 1 ? [`Measured on ${split}.`] : []),
      ...(units.tensors.length > tensors.length
        ? [
            `The ${tensors.length} of ${units.tensors.length} tensors whose units moved the loss most can be chosen.`,
          ]
        : []),
      ...(tensors.some(({ count, map }) => count > map.units.length)
        ? ['Of tensors with more units those that moved the loss most are drawn.']
        : []),
      'The deepest colours stand for the largest 2 % of each tensor’s cells.',
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
        ...binParameters(bins),
      ],
      data: { values: tensors.flatMap((tensor, place) => rowsOf(tensor, place)) },
      transform: [{ filter: 'datum.place === tensor' }, ...spreadOverBins('lca', ['unit'])],
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

/** A tensor whose units have a map. */
type MappedTensor = TensorUnits & { readonly map: UnitMap }

/** The tensors whose units moved the loss most, in the network's order. */
function chooseTensors(tensors: readonly TensorUnits[]): readonly MappedTensor[] {
  const mapped = tensors.filter((tensor): tensor is MappedTensor => tensor.map !== undefined)
  const moved = new Map(mapped.map((one) => [one, sum(one.map.lca.flat().map(Math.abs))]))
  const chosen = new Set([...mapped].sort((a, b) => moved.get(b)! - moved.get(a)!).slice(0, MOST_TENSORS))
  return mapped.filter((tensor) => chosen.has(tensor))
}

/** Cells this much smaller than the largest have no colour to see: a zero takes less room. */
const SMALLEST = 1e-4

function rowsOf({ map }: MappedTensor, place: number) {
  const least = SMALLEST * largest(map.lca.flat().map(Math.abs))
  const rounded = (value: number): number => (Math.abs(value) < least ? 0 : Number(value.toPrecision(3)))
  return map.units.map((unit, i) => ({ place, unit, lca: map.lca[i]!.map(rounded) }))
}
