import { existsSync } from 'node:fs'
import { resolve } from 'node:path'

const folder = resolve('../shared')

/** The folder of reference data beside the project, or undefined where a user has only the project. */
export const SHARED: string | undefined = existsSync(`${folder}/reference`) ? folder : undefined

/** A suite that needs the reference data; where it is absent the suite is skipped and its title says so. */
export function describeWithShared(title: string, body: (shared: string) => void): void {
  if (SHARED === undefined) {
    describe(`${title} [skipped: the reference data ../shared is not here]`, () => {
      it.skip('needs ../shared/reference')
    })
    return
  }
  const shared = SHARED
  describe(title, () => {
    body(shared)
  })
}
