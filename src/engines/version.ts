import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

/** ONNX Runtime's version, told without loading its libraries. */
export const ONNXRUNTIME_VERSION = versionOf('onnxruntime-node')

function versionOf(name: string): string {
  const path = createRequire(import.meta.url).resolve(`${name}/package.json`)
  return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version
}
