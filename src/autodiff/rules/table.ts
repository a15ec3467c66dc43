import type { Node } from '../../onnx/graph.js'
import { alwaysRewritten, broadcasting, rules } from '../rule.js'
import type { Treatment, Treatments, Vjp } from '../rule.js'
import { ACCUMULATION } from './accumulation.js'
import { ACTIVATION } from './activation.js'
import { ATTENTION } from './attention.js'
import { CONTRACTION } from './contraction.js'
import { CONTROL_FLOW } from './control-flow.js'
import { CONVOLUTION } from './convolution.js'
import { BROADCASTING, ELEMENTWISE } from './elementwise.js'
import { INDEXING } from './indexing.js'
import { LAYOUT } from './layout.js'
import { LINEAR } from './linear.js'
import { LOSS_OPERATORS } from './loss-operators.js'
import { NORMALIZATION } from './normalization.js'
import { POOLING } from './pooling.js'
import { QUANTIZATION } from './quantization.js'
import { REARRANGING } from './rearranging.js'
import { RECURRENT } from './recurrent.js'
import { REDUCTION } from './reduction.js'
import { REMAINDER } from './remainder.js'
import { RESAMPLING } from './resampling.js'
import { SEQUENCES } from './sequences.js'
import { SIGNAL } from './signal.js'
import { WITHOUT_DERIVATIVE } from './without-derivative.js'

const CASTS = {
  // between real types the cotangent is cast back; integers carry none
  Cast: (c) => [c.builder.cast(c.g, c.builder.dtype(c.x(0)))],
  CastLike: (c) => [c.builder.cast(c.g, c.builder.dtype(c.x(0))), undefined],
} as const satisfies Record<string, Vjp>

/** In inference the identity, and here always: a random mask would give every gradient its own loss (Dropout 13). */
const DROPOUT: Treatments = {
  Dropout: alwaysRewritten((c) => {
    if (c.x(2) !== '') c.note('Dropout is taken as the identity, whatever the training_mode in the file')
    return [c.x(0), c.wants(1) ? c.builder.add('Equal', [c.x(0), c.x(0)]) : undefined]
  }),
}

/** The treatments by family. */
export const FAMILIES: readonly Treatments[] = [
  rules(ELEMENTWISE),
  rules(BROADCASTING, broadcasting),
  CONVOLUTION,
  rules(LAYOUT),
  rules(LINEAR),
  POOLING,
  rules(REDUCTION),
  rules(CASTS),
  DROPOUT,
  REMAINDER,
  NORMALIZATION,
  ACTIVATION,
  ACCUMULATION,
  LOSS_OPERATORS,
  QUANTIZATION,
  INDEXING,
  REARRANGING,
  SEQUENCES,
  RESAMPLING,
  CONTRACTION,
  ATTENTION,
  SIGNAL,
  CONTROL_FLOW,
  RECURRENT,
  WITHOUT_DERIVATIVE,
]

/** Every operator of ai.onnx with its treatment; each stands in one family only. */
export const TREATMENTS: ReadonlyMap<string, Treatment> = new Map(
  FAMILIES.flatMap((family) => Object.entries(family)),
)

/** The treatment of a node's operator; undefined outside of ai.onnx and for operators that it does not have. */
export function treatmentOf(node: Node): Treatment | undefined {
  return node.domain === '' ? TREATMENTS.get(node.op) : undefined
}
