import { AUTO } from './auto.js'
import { BOOLE } from './boole.js'
import { GAUSS_KRONROD } from './gauss-kronrod.js'
import { FIRST_ORDER, MIDPOINT, TRAPEZOID } from './low-order.js'
import type { QuadratureName } from './names.js'
import type { Rule } from './rule.js'
import { SIMPSON } from './simpson.js'

/** The rules of `--quadrature`, by name. */
export const RULES: Readonly<Record<QuadratureName, Rule>> = {
  simpson: SIMPSON,
  'first-order': FIRST_ORDER,
  trapezoid: TRAPEZOID,
  midpoint: MIDPOINT,
  boole: BOOLE,
  'gauss-kronrod': GAUSS_KRONROD,
  auto: AUTO,
}
