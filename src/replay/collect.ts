import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/**
 * Gives the memory of arrays back that nobody holds any more. V8 looks for garbage when small objects have gathered; a run
 * that makes few of them would keep its data to its end.
 */
export function collectGarbage(): void {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
}
