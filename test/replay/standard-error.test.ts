import { expect } from 'chai'
import {
  combineResiduals,
  intervalErrors,
  ratioResiduals,
  standardError,
} from '../../src/replay/standard-error.js'
import { Population } from './population.js'

const near = (value: number, expected: number, relative: number): void => {
  expect(Math.abs(value / expected - 1), `${value} for ${expected}`).to.be.below(relative)
}

describe('standard errors of small samples', () => {
  // four groups of 10 samples of 160
  const size = { samples: 40, population: 160 }
  // ratio 10 / 20; y - d / 2 = 1, -1, -1, 1; over 20
  const start = ratioResiduals([4, 2, 1, 3], [6, 6, 4, 4])
  // ratio 8 / 20; y - 2 d / 5 = 1, 0, -0.5, -0.5; over 20
  const end = ratioResiduals([3, 2, 1.5, 1.5], [5, 5, 5, 5])

  it('are those computed by hand', () => {
    expect([...start]).to.deep.equal([1, -1, -1, 1].map((y) => y / 20))
    // (1 - 1/4) 4/3 (4/400) = 1/100
    expect(standardError(start, size)).to.be.closeTo(0.1, 1e-15)
    // (1 - 1/4) 4/3 (1.5/400)
    expect(standardError(end, size)).to.be.closeTo(Math.sqrt(1.5) / 20, 1e-15)
    // end - start = 0, 1, 0.5, -1.5 over 20: squares 3.5 / 400
    expect(intervalErrors({ start, end, tensors: [] }, size).lossChange).to.be.closeTo(
      Math.sqrt(3.5) / 20,
      1e-15,
    )
  })

  it('of a sum over tensors follow from the sum, not from the tensors', () => {
    const against = start.map((residual) => -residual)
    const errors = intervalErrors({ start, end, tensors: [start, against, end] }, size)
    for (const [tensor, expected] of [0.1, 0.1, Math.sqrt(1.5) / 20].entries())
      expect(errors.tensors[tensor]).to.be.closeTo(expected, 1e-15)
    // what the first two tensors share cancels
    expect(errors.lca).to.be.closeTo(Math.sqrt(1.5) / 20, 1e-15)
  })

  it('are zero where everything was drawn, and where all groups agree', () => {
    expect(standardError(start, { samples: 160, population: 160 })).to.equal(0)
    expect(standardError(ratioResiduals([3, 6, 9], [1, 2, 3]), { samples: 30, population: 99 })).to.equal(0)
  })

  it('are of samples: numpy computes the same from single samples in groups of one', () => {
    // y = [3, 1, 4, 1, 5, 9, 2, 6]; d = [1, 2, 2, 1, 3, 3, 1, 2]; N = 20; R = y.sum() / d.sum()
    // numpy.sqrt((1 - 8 / 20) / 8 * numpy.var(y - R * d, ddof=1)) / d.mean()
    const residuals = ratioResiduals([3, 1, 4, 1, 5, 9, 2, 6], [1, 2, 2, 1, 3, 3, 1, 2])
    expect(standardError(residuals, { samples: 8, population: 20 })).to.be.closeTo(0.2738833026894182, 1e-15)
  })
})

describe('standard errors of drawn samples', function () {
  this.timeout(120_000)
  const DRAWS = 2000
  // 97.5 % points of Student's t with G - 1 degrees of freedom: scipy.stats.t.ppf(.975, [7, 15, 31])
  const STUDENT = new Map([
    [8, 2.3646],
    [16, 2.1314],
    [32, 2.0395],
  ])

  const cases = [
    { title: 'one denominator for all', denominators: 'equal', samples: 320, groups: 16 },
    { title: 'denominators from 1 to 40', denominators: 'unequal', samples: 320, groups: 16 },
    { title: 'denominators that change along the segment', denominators: 'moving', samples: 320, groups: 32 },
    { title: 'most of the split drawn', denominators: 'unequal', samples: 960, groups: 16 },
    { title: 'eight groups', denominators: 'unequal', samples: 320, groups: 8 },
  ] as const
  for (const { title, denominators, samples, groups } of cases) {
    describe(`${title}: ${samples} of 1200 samples in ${groups} groups`, () => {
      const population = new Population(1200, denominators)
      const draws = population.draw(DRAWS, samples, groups)
      const quantities = [...population.quantities.keys()]

      for (const quantity of quantities) {
        const truth = population.quantities.get(quantity)!
        const estimates = draws.map((draw) => draw.get(quantity)!.estimate)
        const errors = draws.map((draw) => draw.get(quantity)!.error)

        // the spread of 2,000 draws is known to 1 / sqrt(2 * 2000) = 1.6 %; 5 % are three times that
        it(`${quantity}: as large as estimates scatter about the split's value, within 5 %`, () => {
          const scatter = Math.sqrt(mean(estimates.map((estimate) => (estimate - truth) ** 2)))
          near(Math.sqrt(mean(errors.map((error) => error ** 2))), scatter, 0.05)
        })

        it(`${quantity}: the split's value is within t standard errors in 95 % of the draws`, () => {
          const t = STUDENT.get(groups)!
          const covered = estimates.filter((estimate, i) => Math.abs(estimate - truth) <= t * errors[i]!)
          // three times sqrt(0.95 * 0.05 / 2000)
          expect(covered.length / DRAWS).to.be.closeTo(0.95, 0.015)
        })
      }
    })
  }

  it('vanish as the sample becomes the split', () => {
    const population = new Population(1200, 'unequal')
    const typical = [300, 600, 900, 1176, 1200].map((samples) =>
      Math.sqrt(mean(population.draw(100, samples, 12).map((draw) => draw.get('lca')!.error ** 2))),
    )
    // SE^2 is proportional to 1 / n - 1 / N
    for (const [i, samples] of [300, 600, 900, 1176].entries())
      near(typical[i]! / typical[0]!, Math.sqrt((1 / samples - 1 / 1200) / (1 / 300 - 1 / 1200)), 0.1)
    expect(typical[4]).to.equal(0)
  })

  it('of a change are far below that of either loss: the same samples are at both ends', () => {
    const population = new Population(1200, 'unequal')
    for (const draw of population.draw(20, 320, 16))
      expect(draw.get('loss change')!.error).to.be.below(0.5 * draw.get('loss')!.error)
  })

  it('of the sum over tensors differ from the root of the sum of squares', () => {
    const population = new Population(1200, 'unequal')
    const draws = population.draw(200, 320, 16)
    const squares = (quantity: string): number => mean(draws.map((draw) => draw.get(quantity)!.error ** 2))
    const apart = Math.sqrt(squares('tensor a') + squares('tensor b') + squares('tensor c'))
    expect(Math.abs(Math.sqrt(squares('lca')) / apart - 1)).to.be.above(0.2)
  })
})

describe('residuals', () => {
  it('are combined as the quadrature combines gradients', () => {
    // Simpson's weights; the residuals of each point are those of its own ratio
    const points = [
      [1, 2, 3],
      [2, 2, 8],
      [0, 1, 5],
    ].map((dots) => ratioResiduals(dots, [1, 1, 2]))
    const combined = combineResiduals(points, [1 / 6, 4 / 6, 1 / 6])
    const [a, b, c] = points as [Float64Array, Float64Array, Float64Array]
    for (const group of [0, 1, 2])
      expect(combined[group]).to.be.closeTo((a[group]! + 4 * b[group]! + c[group]!) / 6, 1e-16)
  })

  it('of no parts are none', () => {
    expect(combineResiduals([])).to.have.length(0)
  })
})

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}
