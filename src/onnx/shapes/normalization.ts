import type { ShapeRule } from './rule.js'

export const NORMALIZATION_SHAPES: Readonly<Record<string, ShapeRule>> = {}
