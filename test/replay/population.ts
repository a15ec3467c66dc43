import {
  combineResiduals,
  intervalErrors,
  ratioResiduals,
  standardError,
  type Residuals,
} from '../../src/replay/standard-error.js'
import { Random } from '../support/random.js'

/** Simpson's rule on a segment. */
const WEIGHTS = [1 / 6, 4 / 6, 1 / 6]
const TENSORS = ['a', 'b', 'c']

export type Denominators = 'equal' | 'unequal' | 'moving'

/** What a draw says of a quantity. */
export interface Drawn {
  readonly estimate: number
  readonly error: number
}

/** One sample's part of the sums at a point. */
interface Terms {
  readonly numerator: number
  readonly denominator: number
  /** Dot products of the numerator's gradient with the movement, by tensor. */
  readonly dots: readonly number[]
}

/**
 * A made-up split of which everything is known: at the points of a segment every sample has a numerator, a denominator
 * and a slope in each of three tensors, two of which pull against each other. Its values are ratios of sums over all
 * samples, computed without the code under test.
 */
export class Population {
  /** The values that samples estimate. */
  readonly quantities: ReadonlyMap<string, number>
  private readonly terms: readonly (readonly Terms[])[]

  constructor(
    private readonly size: number,
    denominators: Denominators,
  ) {
    const random = new Random(`population ${denominators}`)
    this.terms = Array.from({ length: size }, () => sampleTerms(random, denominators))
    const all = Array.from({ length: size }, (_, i) => i)
    this.quantities = this.estimates(all)
  }

  /** Draws `count` times `samples` samples in random groups, and estimates everything from each draw. */
  draw(count: number, samples: number, groups: number): ReadonlyMap<string, Drawn>[] {
    const random = new Random(`draws of ${samples} in ${groups}`)
    return Array.from({ length: count }, () => {
      const rows = random.permutation(this.size).slice(0, samples)
      const errors = this.errors(rows, groups)
      return new Map(
        [...this.estimates(rows)].map(([name, estimate]) => [name, { estimate, error: errors.get(name)! }]),
      )
    })
  }

  private estimates(rows: readonly number[]): Map<string, number> {
    const ratio = (point: number, of: (terms: Terms) => number): number =>
      total(rows, (row) => of(this.terms[row]![point]!)) /
      total(rows, (row) => this.terms[row]![point]!.denominator)
    const loss = (point: number): number => ratio(point, ({ numerator }) => numerator)
    const lca = TENSORS.map((_, tensor) =>
      total([0, 1, 2], (point) => WEIGHTS[point]! * ratio(point, ({ dots }) => dots[tensor]!)),
    )
    return new Map([
      ['loss', loss(0)],
      ['loss change', loss(2) - loss(0)],
      ['lca', total([0, 1, 2], (tensor) => lca[tensor]!)],
      ...TENSORS.map((name, tensor): [string, number] => [`tensor ${name}`, lca[tensor]!]),
    ])
  }

  private errors(rows: readonly number[], groups: number): Map<string, number> {
    const each = rows.length / groups
    const residuals = (point: number, of: (terms: Terms) => number): Residuals => {
      const sums = (part: (terms: Terms) => number): number[] =>
        Array.from({ length: groups }, (_, group) =>
          total(rows.slice(group * each, (group + 1) * each), (row) => part(this.terms[row]![point]!)),
        )
      return ratioResiduals(
        sums(of),
        sums(({ denominator }) => denominator),
      )
    }
    const tensors = TENSORS.map((_, tensor) =>
      combineResiduals(
        [0, 1, 2].map((point) => residuals(point, ({ dots }) => dots[tensor]!)),
        WEIGHTS,
      ),
    )
    const [start, end] = [0, 2].map((point) => residuals(point, ({ numerator }) => numerator)) as [
      Residuals,
      Residuals,
    ]
    const size = { samples: rows.length, population: this.size }
    const errors = intervalErrors({ start, end, tensors }, size)
    return new Map([
      ['loss', standardError(start, size)],
      ['loss change', errors.lossChange],
      ['lca', errors.lca],
      ...TENSORS.map((name, tensor): [string, number] => [`tensor ${name}`, errors.tensors[tensor]!]),
    ])
  }
}

function sampleTerms(random: Random, denominators: Denominators): Terms[] {
  const [count, hardness, pull] = [1 + Math.floor(40 * random.next()), random.next(), random.next()]
  const change = 0.4 * random.next() - 0.3
  return [0, 0.5, 1].map((a) => {
    const moving = denominators === 'moving' ? 1 + a * hardness : 1
    const denominator = denominators === 'equal' ? 1 : count * moving
    // some samples are far harder than others, and longer ones harder than short ones
    const level = 3 * hardness ** 4 + count / 40
    const slopes = [-2 * level * pull - 0.5, 1.5 * level * pull, change * (1 - a)]
    return {
      numerator: denominator * (level + change * a),
      denominator,
      dots: slopes.map((slope) => denominator * slope),
    }
  })
}

function total(of: readonly number[], part: (index: number) => number): number {
  let sum = 0
  for (const index of of) sum += part(index)
  return sum
}
