import type { ValueInfo } from '../graph.js'
import type { NodeView } from '../infer.js'

/** What follows for a node's outputs from what is known of its inputs. */
export type ShapeRule = (view: NodeView) => readonly ValueInfo[]
