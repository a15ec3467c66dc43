import { expect } from 'chai'

import textWidth from '../../src/cli/text-width.js'

describe('the width of a text on a terminal', () => {
  it('is the number of its characters, without what colors them', () => {
    expect(textWidth('')).to.equal(0)
    expect(textWidth('θ[t+1] · ∂L')).to.equal(11)
    expect(textWidth('\u001b[1mbold\u001b[22m')).to.equal(4)
  })
})
