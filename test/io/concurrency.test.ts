import { setTimeout as after } from 'node:timers/promises'
import { expect } from 'chai'

import { mapLimited } from '../../src/io/concurrency.js'
import { rejection } from '../support/rejection.js'

describe('mapLimited', () => {
  it('keeps the order of the items, whatever takes longer', async () => {
    const results = await mapLimited([30, 1, 15, 2], 3, async (milliseconds) =>
      after(milliseconds, milliseconds),
    )
    expect(results).to.deep.equal([30, 1, 15, 2])
  })

  it('throws the error of the first item that fails, also where a later one fails sooner', async () => {
    const fail = async (milliseconds: number, index: number): Promise<never> => {
      await after(milliseconds)
      throw new Error(`item ${index}`)
    }
    const error = await rejection(mapLimited([40, 1, 5], 3, fail))
    expect(error.message).to.equal('item 0')
  })

  it('begins no item after an error', async () => {
    const begun: number[] = []
    await rejection(
      mapLimited([0, 1, 2, 3], 1, (item) => {
        begun.push(item)
        return item === 1 ? Promise.reject(new Error('no')) : Promise.resolve(item)
      }),
    )
    expect(begun).to.deep.equal([0, 1])
  })
})
