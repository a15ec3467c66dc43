import type { GraphBuilder } from '../../onnx/builder.js'
import type { Node } from '../../onnx/graph.js'
import type { Rewrite } from '../rule.js'

/** An operator that an execution provider lacks, in other terms: where it applies, it is rewritten wherever it stands. */
export interface ProviderForm {
  readonly applies: (node: Node, builder: GraphBuilder) => boolean
  readonly rewrite: Rewrite
}

/** The operators that ONNX Runtime's WebGPU provider can't run or hands back to the CPU. */
export const PROVIDER_FORMS: ReadonlyMap<string, ProviderForm> = new Map()
