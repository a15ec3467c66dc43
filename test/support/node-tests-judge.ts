import { derivativeAlong, gradientsOf } from './check-gradient.js'
import type { GradientCheck, Vectors } from './check-gradient.js'
import type { GradientGraph } from '../../src/autodiff/differentiate.js'
import type { Width } from './node-tests-types.js'
import type { Loaded } from './ort.js'
import { Random } from './random.js'

/** How exactly a derivative is known from differences. */
interface Precision {
  readonly step: number
  /** Largest error, relative to the terms of the directional derivative. */
  readonly tolerance: number
  /** Largest error, relative to the terms of the loss: rounding over the step. */
  readonly floor: number
}

const PRECISION: Readonly<Record<Width, Precision>> = {
  float64: { step: 1e-4, tolerance: 1e-6, floor: 1e-9 },
  float32: { step: 2 ** -7, tolerance: 1e-3, floor: 1e-4 },
}

/** What differences say of a gradient at a point: a point at a kink says nothing. */
export type Verdict =
  | { readonly kind: 'agrees'; readonly gradient: Vectors; readonly loss: Loss }
  | { readonly kind: 'rough' }
  | { readonly kind: 'differs'; readonly message: string }

/** The loss at a point: the sum of its terms, and of their absolute values (1 at least). */
export interface Loss {
  readonly value: number
  readonly size: number
}

/** The derivative of a check's loss along one direction of its parameters. */
interface Slope {
  readonly along: readonly string[]
  readonly direction: Vectors
  readonly value: number
}

/** A forward pass at a point, whose loss can be varied. */
export class Terrain {
  constructor(
    private readonly check: GradientCheck,
    private readonly forward: Loaded,
    private readonly width: Width,
  ) {}

  /**
   * Compares a gradient with differences, along one direction for every parameter and one for all.
   *
   * @param fixed inputs that can't be varied
   */
  async judge(gradient: GradientGraph, fixed: ReadonlySet<string>): Promise<Verdict> {
    const names = Object.keys(this.check.parameters).filter((name) => !fixed.has(name))
    const slopes: Slope[] = []
    for (const along of names.length > 1 ? [...names.map((name) => [name]), names] : [names]) {
      const slope = await this.slope(along)
      if (slope === undefined) return { kind: 'rough' }
      slopes.push(slope)
    }
    const analytic = await gradientsOf(gradient, gradient.graph, this.check)
    // what can't be varied can't be judged either, unless it is said to have no derivative
    if ([...fixed].some((name) => analytic[name]!.some((value) => value !== 0))) return { kind: 'rough' }
    const loss = await this.loss()
    const wrong = slopes.flatMap((slope) => this.differenceFrom(slope, analytic, loss.size) ?? [])
    return wrong.length > 0
      ? { kind: 'differs', message: wrong.join('; ') }
      : { kind: 'agrees', gradient: analytic, loss }
  }

  /**
   * The derivative along some parameters; undefined where differences of two steps disagree, for then the function
   * bends or jumps between them, or where the forward pass fails on the way.
   */
  async slope(along: readonly string[]): Promise<Slope | undefined> {
    const { step, tolerance, floor } = PRECISION[this.width]
    const direction = directionAlong(along, this.check)
    try {
      const value = await derivativeAlong(direction, step, this.check, this.forward)
      const finer = await derivativeAlong(direction, step / 2, this.check, this.forward)
      const allowed = (tolerance * Math.abs(value) + floor * (await this.loss()).size) / 2
      return Math.abs(value - finer) <= allowed ? { along, direction, value } : undefined
    } catch {
      return undefined
    }
  }

  private lossAtPoint: Loss | undefined

  async loss(): Promise<Loss> {
    const { data, parameters, loss } = this.check
    if (this.lossAtPoint === undefined) {
      const { values } = (await this.forward.run({ ...data, ...parameters }))[loss]!
      const value = values.reduce((sum, term) => sum + term, 0)
      this.lossAtPoint = { value, size: values.reduce((sum, term) => sum + Math.abs(term), 1) }
    }
    return this.lossAtPoint
  }

  private differenceFrom(
    { along, direction, value }: Slope,
    gradient: Vectors,
    size: number,
  ): string | undefined {
    const { tolerance, floor } = PRECISION[this.width]
    const terms = along.flatMap((name) =>
      direction[name]!.flatMap((v, i) => (v === 0 ? [] : [v * gradient[name]![i]!])),
    )
    const found = terms.reduce((sum, term) => sum + term, 0)
    const scale = terms.reduce((sum, term) => sum + Math.abs(term), Math.abs(value))
    if (Math.abs(found - value) <= tolerance * scale + floor * size) return undefined
    return `along ${along.join(', ')} the gradient gives ${found}, differences in ${this.width} give ${value}`
  }
}

/** Numbers that are not finite (masks of -Infinity) stay where they are. */
function directionAlong(along: readonly string[], { parameters }: GradientCheck): Vectors {
  const random = new Random(along.join())
  return Object.fromEntries(
    along.map((name) => {
      const { values } = parameters[name]!
      return [name, random.uniform(values.length, -1, 1).map((v, i) => (Number.isFinite(values[i]) ? v : 0))]
    }),
  )
}
