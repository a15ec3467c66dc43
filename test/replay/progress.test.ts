import { expect } from 'chai'
import { Progress } from '../../src/replay/progress.js'
import type { ReplayProgress } from '../../src/replay/progress.js'

describe('the progress of a replay', () => {
  function phases(warmUp?: string): string[] {
    const told: ReplayProgress[] = []
    const onProgress = (progress: ReplayProgress): void => {
      told.push(progress)
    }
    const progress = new Progress([{ samples: 10 }], 4, {
      onProgress,
      ...(warmUp !== undefined && { warmUp }),
    })
    progress.finished(0, undefined)
    progress.samples(0, 0, 5)
    progress.after('writing totals', 1)
    return told.map(({ phase }) => phase)
  }

  it('names the device that warms up until the first samples are done', () => {
    expect(phases('webgpu (NVIDIA H200)')).to.deep.equal([
      'warming up webgpu (NVIDIA H200)',
      'replaying',
      'writing totals',
    ])
    expect(phases()).to.deep.equal(['replaying', 'replaying', 'writing totals'])
  })
})
