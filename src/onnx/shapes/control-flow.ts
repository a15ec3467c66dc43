import type { ShapeRule } from './rule.js'

export const CONTROL_FLOW_SHAPES: Readonly<Record<string, ShapeRule>> = {}
