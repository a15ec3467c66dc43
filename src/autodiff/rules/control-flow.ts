import type { Treatments } from '../rule.js'

/** Scan, Loop and If: graphs inside of graphs. */
export const CONTROL_FLOW: Treatments = {}
