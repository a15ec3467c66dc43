import { rules } from '../rule.js'
import type { Treatments } from '../rule.js'
import { branch } from './branch.js'
import { loop } from './loop.js'
import { scan } from './scan.js'

/** Graphs inside of graphs: their bodies are differentiated as graphs are, and parted into a way there and a way back. */
export const CONTROL_FLOW: Treatments = rules({ Scan: scan, Loop: loop, If: branch })
