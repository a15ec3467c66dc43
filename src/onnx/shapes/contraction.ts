import type { ShapeRule } from './rule.js'

export const CONTRACTION_SHAPES: Readonly<Record<string, ShapeRule>> = {}
