import { expect } from 'chai'
import { TREATMENTS } from '../../src/autodiff/rules/table.js'
import { OPERATOR_CASES } from '../support/cases/index.js'
import { checkGradient } from '../support/check-gradient.js'
import { gradientCheckOf } from '../support/operator-case.js'

describe('the gradient of every operator agrees with differences of the forward graph', () => {
  for (const test of OPERATOR_CASES) {
    it(`${test.op} ${test.title}`, async () => {
      await checkGradient(await gradientCheckOf(test))
    })

    it(`${test.op} ${test.title}, behind other operators`, async () => {
      await checkGradient(await gradientCheckOf(test, 'behind others'))
    })
  }

  it('no operator with a derivative rule is left out', () => {
    const tested = new Set(OPERATOR_CASES.map(({ op }) => op))
    const ruled = [...TREATMENTS].filter(([, { state }]) => state === 'rule').map(([op]) => op)
    expect(ruled.filter((op) => !tested.has(op))).to.deep.equal([])
  })

  it('no two cases have the same title', () => {
    const titles = OPERATOR_CASES.map(({ op, title }) => `${op} ${title}`)
    expect(titles.filter((title, i) => titles.indexOf(title) !== i)).to.deep.equal([])
  })
})
