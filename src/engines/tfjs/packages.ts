import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Device } from '../devices/names.js'

/** Ways to run TensorFlow.js, the quickest first. */
export const TFJS_BACKENDS = ['tfjs-node-gpu', 'tfjs-node', 'wasm', 'js'] as const
export type TfjsBackendName = (typeof TFJS_BACKENDS)[number]

/** What a way of running needs. */
export interface TfjsPackage {
  readonly package: string
  /** TensorFlow.js' own name of what computes. */
  readonly backend: 'tensorflow' | 'wasm' | 'cpu'
  readonly devices: readonly Device[]
}

export const TFJS_PACKAGES: Readonly<Record<TfjsBackendName, TfjsPackage>> = {
  'tfjs-node-gpu': { package: '@tensorflow/tfjs-node-gpu', backend: 'tensorflow', devices: ['cuda'] },
  'tfjs-node': { package: '@tensorflow/tfjs-node', backend: 'tensorflow', devices: ['cpu'] },
  wasm: { package: '@tensorflow/tfjs-backend-wasm', backend: 'wasm', devices: ['cpu'] },
  js: { package: '@tensorflow/tfjs', backend: 'cpu', devices: ['cpu'] },
}

/** The version that is tested; peer dependencies name it. */
export const TFJS_VERSION = '4.22.0'

export const INSTALL_LINE = `npm install --ignore-scripts=false @tensorflow/tfjs-node@${TFJS_VERSION}`

export const requireHere = createRequire(import.meta.url)

/** The version of an installed package, told without loading it; undefined where it is not installed. */
export function installedVersion(name: string): string | undefined {
  try {
    const path = requireHere.resolve(`${name}/package.json`)
    return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version
  } catch {
    return undefined
  }
}

/** What to do where a package is there and its native binding is not. */
export function bindingRemedy(name: string): string {
  return `npm rebuild ${name} --ignore-scripts=false${
    name === '@tensorflow/tfjs-node' ? '; in a clone of retrograd: npm run setup:tfjs' : ''
  }`
}
