import { tryBackend } from '../../src/engines/tfjs/probe.js'

const native = tryBackend('tfjs-node')

/** A suite that needs the native binding; where that does not load it is skipped and its title says why. */
export function describeWithNative(title: string, body: () => void): void {
  if (native.loads) {
    describe(title, body)
    return
  }
  describe(`${title} [skipped: native TensorFlow.js: ${native.reason ?? 'does not load'}]`, () => {
    it.skip('needs npm run setup:tfjs')
  })
}
