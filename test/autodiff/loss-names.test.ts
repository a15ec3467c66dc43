import { expect } from 'chai'
import { lossChoices, lossName, parseLoss } from '../../src/autodiff/losses.js'
import type { LossChoices } from '../../src/autodiff/losses.js'
import { UsageError } from '../../src/errors.js'

describe('the names of losses', () => {
  it('are those of the command line', () => {
    for (const kind of ['cross-entropy', 'nll', 'bce-with-logits', 'mse'])
      expect(parseLoss(kind)).to.deep.equal({ kind })
    expect(parseLoss('output:a:b')).to.deep.equal({ kind: 'output', name: 'a:b' })
    for (const text of ['output:', 'hinge', ''])
      expect(() => parseLoss(text), text).to.throw(
        UsageError,
        /use one of cross-entropy, nll, bce-with-logits, mse, output:NAME, FILE\.onnx/,
      )
  })

  it('come back from a loss, with the choices that were made', () => {
    const loss = parseLoss('nll', { ignoreIndex: 7, classWeights: [1, 2] })
    expect(lossName(loss)).to.equal('nll')
    expect(lossChoices(loss)).to.deep.equal({ ignoreIndex: 7, classWeights: [1, 2] })
    expect(lossName(parseLoss('output:a'))).to.equal('output:a')
    expect(lossChoices(parseLoss('output:a'))).to.deep.equal({})
  })
})

describe('choices that a loss does not have, or values that it can’t take, are refused', () => {
  const cases: readonly [loss: string, choices: LossChoices, message: RegExp][] = [
    ['mse', { ignoreIndex: 1 }, /--ignore-index belongs to cross-entropy, nll; --loss mse does not have it/],
    ['nll', { labelSmoothing: 0.1 }, /--label-smoothing belongs to cross-entropy;/],
    ['output:y', { classWeights: [1] }, /--class-weights belongs to cross-entropy, nll;/],
    ['cross-entropy', { positiveWeights: [2] }, /--pos-weight belongs to bce-with-logits;/],
    ['bce-with-logits', { softLabels: true }, /--soft-labels belongs to cross-entropy;/],
    ['mse', { classAxis: 1 }, /--class-axis belongs to/],
    ['bce-with-logits', { classAxis: 1 }, /--class-axis: .* it is for --pos-weight alone/],
    ['cross-entropy', { softLabels: true, ignoreIndex: 0 }, /with --soft-labels there are none/],
    ['cross-entropy', { labelSmoothing: 1.5 }, /--label-smoothing 1.5: a number from 0 to 1/],
    ['cross-entropy', { labelSmoothing: NaN }, /--label-smoothing NaN/],
    ['cross-entropy', { ignoreIndex: 0.5 }, /--ignore-index 0.5: a whole number/],
    ['cross-entropy', { classAxis: 0 }, /--class-axis 0: axis 0 is the batch/],
    ['cross-entropy', { classWeights: [1, -1] }, /--class-weights: -1 is no weight/],
    ['cross-entropy', { classWeights: [0, 0] }, /--class-weights: all weights are 0/],
    ['bce-with-logits', { positiveWeights: [Infinity] }, /--pos-weight: Infinity is no weight/],
  ]
  for (const [loss, choices, message] of cases)
    it(`${loss} ${JSON.stringify(choices)}`, () => {
      expect(() => parseLoss(loss, choices)).to.throw(UsageError, message)
    })
})
