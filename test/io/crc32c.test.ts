import { expect } from 'chai'

import { crc32c, maskedCrc32c } from '../../src/io/crc32c.js'

describe('CRC-32C', () => {
  it("gives RFC 3720's values (appendix B.4)", () => {
    expect(crc32c(new Uint8Array(32))).to.equal(0x8a9136aa)
    expect(crc32c(new Uint8Array(32).fill(0xff))).to.equal(0x62a8ab43)
    expect(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i))).to.equal(0x46dd794e)
    expect(crc32c(Uint8Array.from({ length: 32 }, (_, i) => 31 - i))).to.equal(0x113fdb5c)
  })

  it('gives the check value of the catalogue of CRCs at every alignment, and goes on from what came before', () => {
    for (let offset = 0; offset < 9; offset++) {
      const bytes = Buffer.from(' '.repeat(offset) + '123456789').subarray(offset)
      expect(crc32c(bytes)).to.equal(0xe3069283)
      expect(crc32c(bytes.subarray(4), crc32c(bytes.subarray(0, 4)))).to.equal(0xe3069283)
    }
  })

  it('is masked as LevelDB masks it: turned right by 15 bits, and added to', () => {
    expect(maskedCrc32c(0)).to.equal(0xa282ead8)
    expect(maskedCrc32c(0x00008000)).to.equal(0xa282ead9)
  })
})
