import { Formula } from '../formula.js'
import { broadcasting } from '../rule.js'
import type { Treatments, VjpContext } from '../rule.js'

/** The remainder of a division of real numbers. */
export const REMAINDER: Treatments = {
  // a mod b = a - q b with a whole number q that is constant almost everywhere: da - q db (Mod 13)
  Mod: broadcasting((c) => [c.g, c.needs(1) ? divisorGradient(c) : undefined]),
}

/** The whole number from what is left over, so that it is the one that the forward pass took at every rounding. */
function divisorGradient(c: VjpContext): string {
  const f = new Formula(c.builder, c.g)
  const quotient = f.call('Round', f.div(f.sub(c.x(0), c.y()), c.x(1)))
  return f.mul(f.call('Neg', c.g), quotient)
}
