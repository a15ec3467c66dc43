import { expect } from 'chai'

import { UsageError } from '../../src/errors.js'
import { checkFinite } from '../../src/trajectory/finite.js'
import { compareNaturally, numbersInName, reasonToLeaveOut } from '../../src/trajectory/names.js'
import { parseStepRange } from '../../src/trajectory/step-range.js'

/** File names as trainers write them, and the numbers in them. */
const NAMES: readonly [string, ReturnType<typeof numbersInName>][] = [
  ['step-000007.safetensors', { step: 7, number: 7 }],
  ['epoch=1-step=4.ckpt', { epoch: 1, step: 4, number: 4 }],
  ['epoch=3-step=1000-v1.ckpt', { epoch: 3, step: 1000, number: 1000 }],
  ['epoch=03-val_loss=0.23.ckpt', { epoch: 3, number: 3 }],
  ['epoch_12.pth', { epoch: 12, number: 12 }],
  ['iter_4000.pth', { iteration: 4000, number: 4000 }],
  ['checkpoint-500.pth.tar', { number: 500 }],
  ['checkpoint_3_1000.pt', { number: 1000 }],
  ['weights.05-0.23.h5', { number: 5 }],
  ['step143000.safetensors', { step: 143000, number: 143000 }],
  ['global_step300.pt', { step: 300, number: 300 }],
  ['model.pt', {}],
]

describe('names of checkpoint files', () => {
  for (const [name, numbers] of NAMES) {
    it(`${name} holds ${JSON.stringify(numbers)}`, () => {
      expect(numbersInName(name)).to.deep.equal(numbers)
    })
  }

  for (const name of [
    'last.ckpt',
    'best.pt',
    'latest.safetensors',
    'model_best.pth.tar',
    'checkpoint_last.pt',
    'last-v1.ckpt',
    'checkpoint.best_loss_3.456.pt',
  ]) {
    it(`${name} is another name of a checkpoint`, () => {
      expect(reasonToLeaveOut(name)).to.contain('another name')
    })
  }

  for (const name of ['lastlayer-3.pt', 'step-5.pt', 'breast-10.pt', 'final.pt']) {
    it(`${name} is a checkpoint of its own`, () => {
      expect(reasonToLeaveOut(name)).to.equal(undefined)
    })
  }

  it('sorts numbers in names by their value', () => {
    expect(['e10', 'e9', 'e1'].sort(compareNaturally)).to.deep.equal(['e1', 'e9', 'e10'])
  })
})

describe('ranges of steps', () => {
  it('may leave any part open', () => {
    expect(parseStepRange('10:20:5')).to.deep.equal({ from: 10, to: 20, stride: 5 })
    expect(parseStepRange('10:')).to.deep.equal({ from: 10 })
    expect(parseStepRange('::5')).to.deep.equal({ stride: 5 })
  })

  for (const text of ['', '5', 'a:b', '1:2:3:4', '5:1', '1:5:0', '-1:5', '1.5:2', '0:99999999999999999999']) {
    it(`refuses '${text}'`, () => {
      expect(() => parseStepRange(text)).to.throw(UsageError, `--steps ${text}`)
    })
  }
})

describe('values that are not finite', () => {
  const checkpoint = { path: 'run/step-4.pt', step: 4 }

  it('are reported with their place, their number and what to do', () => {
    const data = new Float32Array(6)
    data[4] = NaN
    data[5] = -Infinity
    const check = (): void => {
      checkFinite({ dtype: 'float32', shape: [2, 3], data }, checkpoint, 'fc1.weight')
    }
    expect(check).to.throw(
      'step 4 (run/step-4.pt): tensor fc1.weight holds NaN at index [1, 1] (2 of 6 values are not finite); ' +
        '`--steps 0:3` replays what is before it',
    )
  })

  it('are not seen where all are numbers', () => {
    checkFinite({ dtype: 'float32', shape: [2], data: Float32Array.of(1, -1e38) }, checkpoint, 'w')
  })
})
