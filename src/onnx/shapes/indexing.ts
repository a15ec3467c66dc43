import type { ShapeRule } from './rule.js'

export const INDEXING_SHAPES: Readonly<Record<string, ShapeRule>> = {}
