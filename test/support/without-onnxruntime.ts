import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { newFolder } from '../cli/command.js'

/** The environment of a process in which ONNX Runtime's library does not load, as where there is none for the platform. */
export function withoutOnnxRuntime(): Record<string, string> {
  const path = join(newFolder(), 'hide.cjs')
  writeFileSync(
    path,
    `const { dlopen } = process
    process.dlopen = (module, file, ...more) => {
      if (file.includes('onnxruntime_binding')) throw new Error('libonnxruntime.so.1: no such library')
      return dlopen(module, file, ...more)
    }`,
  )
  return { NODE_OPTIONS: `--require ${path}` }
}
