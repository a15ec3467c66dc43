import type { GraphBuilder } from '../../onnx/builder.js'
import { Formula } from '../formula.js'
import type { Integer } from '../integers.js'

/** How images are sampled between their pixels, and beyond their border. */
export interface Sampling {
  readonly mode: 'linear' | 'nearest' | 'cubic'
  readonly padding: 'zeros' | 'border' | 'reflection'
  /** Whether reflection is at the centres of the outermost pixels, or at their outer edges. */
  readonly alignCorners: boolean
}

/** A pixel along one axis that takes part in samples. */
export interface Tap {
  /** Its place as a real number, inside of the image: [B, P]. */
  readonly place: string
  /** What it weighs, undefined for 1; it carries the derivative with respect to where the sample is. */
  readonly weight: string | undefined
}

/** The coefficient of cubic convolution (Keys 1981), as PyTorch and ONNX take it. */
const CUBIC = -0.75

/** The places of samples along one axis of an image: which pixels are taken for them, and with which weights. */
export class SampledAxis {
  private readonly f: Formula
  /** The last pixel's place. */
  private readonly last: string
  /** Where places are reflected, and how far it is to the other bound. */
  private readonly low: number
  private readonly span: string

  constructor(
    private readonly builder: GraphBuilder,
    private readonly place: string,
    size: Integer,
    private readonly sampling: Sampling,
  ) {
    this.f = new Formula(builder, place)
    this.last = this.number(size, -1)
    this.low = sampling.alignCorners ? 0 : -0.5
    // an image of one pixel has no span between centres; everything falls on that pixel
    this.span = sampling.alignCorners ? this.f.call('Max', this.last, 1) : this.number(size, 0)
  }

  private number(size: Integer, added: number): string {
    if (typeof size === 'number') return this.f.number(size + added)
    const value = this.builder.cast(size, this.builder.dtype(this.place))
    return added === 0 ? value : this.f.add(value, added)
  }

  taps(): Tap[] {
    switch (this.sampling.mode) {
      case 'nearest':
        return [this.tap(this.f.call('Round', this.padded(this.place)), undefined)]
      case 'linear':
        return this.linear(this.padded(this.place))
      case 'cubic':
        return this.cubic()
    }
  }

  private linear(place: string): Tap[] {
    const { f } = this
    const low = f.call('Floor', place)
    const beyond = f.sub(place, low)
    return [this.tap(low, f.sub(1, beyond)), this.tap(f.add(low, 1), beyond)]
  }

  /** Four pixels, each brought into the image on its own. */
  private cubic(): Tap[] {
    const { f } = this
    const low = f.call('Floor', this.place)
    const beyond = f.sub(this.place, low)
    const behind = f.sub(1, beyond)
    const weights = [far(f, f.add(beyond, 1)), near(f, beyond), near(f, behind), far(f, f.add(behind, 1))]
    return weights.map((weight, i) => this.tap(this.padded(i === 1 ? low : f.add(low, i - 1)), weight))
  }

  /** A place brought inside of the image, unless zeros lie there. */
  private padded(place: string): string {
    if (this.sampling.padding === 'zeros') return place
    return this.inside(this.sampling.padding === 'border' ? place : this.reflected(place))
  }

  private inside(place: string): string {
    return this.f.call('Min', this.f.call('Max', place, 0), this.last)
  }

  /** Back and forth between the bounds: span - |distance mod 2 span - span|. */
  private reflected(place: string): string {
    const { f, span, low } = this
    const distance = f.call('Abs', low === 0 ? place : f.sub(place, low))
    const period = f.mul(span, 2)
    const along = f.sub(distance, f.mul(period, f.call('Floor', f.div(distance, period))))
    const within = f.sub(span, f.call('Abs', f.sub(along, span)))
    return low === 0 ? within : f.add(within, low)
  }

  /** With padding by zeros a pixel outside of the image weighs nothing, and the nearest that exists stands for it. */
  private tap(place: string, weight: string | undefined): Tap {
    const { f } = this
    const inside = this.inside(place)
    if (this.sampling.padding !== 'zeros') return { place: inside, weight }
    const mask = f.mask('Equal', place, inside)
    return { place: inside, weight: weight === undefined ? mask : f.mul(weight, mask) }
  }
}

// (a + 2) d^3 - (a + 3) d^2 + 1, for a distance up to 1
function near(f: Formula, distance: string): string {
  const slope = f.sub(f.mul(distance, CUBIC + 2), CUBIC + 3)
  return f.add(f.mul(slope, f.square(distance)), 1)
}

// a d^3 - 5 a d^2 + 8 a d - 4 a, for a distance from 1 to 2
function far(f: Formula, distance: string): string {
  const quadratic = f.add(f.mul(f.sub(distance, 5), distance), 8)
  return f.mul(f.sub(f.mul(quadratic, distance), 4), CUBIC)
}
