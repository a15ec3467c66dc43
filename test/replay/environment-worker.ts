/** A worker's program that answers its setup with what NVIDIA's libraries would read in its environment. */
import type { FromWorker } from '../../src/replay/workers/messages.js'

process.on('disconnect', () => process.exit())
process.on('message', () => {
  const message = process.env.NVIDIA_TF32_OVERRIDE ?? 'nothing'
  const answer: FromWorker = {
    kind: 'failed',
    failure: { message, memory: false, expected: true, device: false },
  }
  process.send?.(answer)
})
