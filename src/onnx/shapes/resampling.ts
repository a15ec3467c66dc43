import type { ShapeRule } from './rule.js'

export const RESAMPLING_SHAPES: Readonly<Record<string, ShapeRule>> = {}
