/**
 * A child process that tries a device: it computes a small gradient there and on the CPU, and tells how far they are apart.
 * A driver that crashes or hangs takes this process with it, not the caller's.
 */
import { reasonOf } from '../../errors.js'
import type { ProbeMessage, ProbeQuestion } from './probe-message.js'
import { loaded } from '../load-runtime.js'

// who asked is gone: nobody would end a driver that hangs later on
process.on('disconnect', () => process.exit())
process.on('message', (question: ProbeQuestion) => {
  void answer(question)
})

async function answer(question: ProbeQuestion): Promise<void> {
  const message = await probe(question).catch((error: unknown): ProbeMessage => ({
    failure: reasonOf(error),
  }))
  process.send?.(message, () => {
    process.disconnect()
  })
}

async function probe(question: ProbeQuestion): Promise<ProbeMessage> {
  const { tryDevice } = await loaded(() => import('./trial.js'))
  return tryDevice(question)
}
