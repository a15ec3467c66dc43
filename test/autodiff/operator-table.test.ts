import { readFileSync } from 'node:fs'
import { expect } from 'chai'
import { FAMILIES, TREATMENTS } from '../../src/autodiff/rules/table.js'

interface Operator {
  readonly versions: readonly number[]
  readonly outputs: readonly string[]
}

/** Every operator of ai.onnx in opsets 11 to 26, from the onnx package (scripts/make-fixtures/operator-list.py). */
const { operators, deprecated } = JSON.parse(readFileSync('fixtures/onnx/operators.json', 'utf8')) as {
  readonly operators: Readonly<Record<string, Operator>>
  readonly deprecated: Readonly<Record<string, number>>
}

describe('the table of operators', () => {
  it('has every operator of ai.onnx in opsets 11 to 26', () => {
    expect(Object.keys(operators).filter((op) => !TREATMENTS.has(op))).to.deep.equal([])
  })

  it('has no operator that ONNX does not have', () => {
    const known = new Set([...Object.keys(operators), ...Object.keys(deprecated)])
    expect([...TREATMENTS.keys()].filter((op) => !known.has(op))).to.deep.equal([])
  })

  it('has each operator in one family', () => {
    const all = FAMILIES.flatMap((family) => Object.keys(family))
    expect(all.filter((op, i) => all.indexOf(op) !== i)).to.deep.equal([])
  })

  it('gives no derivative to what gives no real numbers', () => {
    const unreal = Object.entries(operators).filter(
      ([, { outputs }]) => !outputs.some((output) => /: (real|sequence|optional)$/.test(output)),
    )
    const other = unreal.filter(([op]) => TREATMENTS.get(op)?.state !== 'zero').map(([op]) => op)
    // a sequence whose tensors are known is replaced by them, and its length by a number
    expect(other).to.deep.equal(['SequenceLength'])
  })

  it('says why an operator is refused, in a sentence that can follow a colon', () => {
    const reasons = [...TREATMENTS.values()].flatMap((one) => (one.state === 'refused' ? [one.reason] : []))
    for (const reason of reasons) expect(reason).to.match(/^[a-z].{20,}[^.]$/)
  })
})
