import { existsSync, lstatSync, mkdirSync, readdirSync, rmSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { lastLines, run, SetupError, step } from './commands.js'
import type { TensorFlowLibrary } from './library.js'

/** Where the package looks for its binding, and the binding for its libraries (binding.gyp: $ORIGIN/../../deps/lib). */
const BINDING = 'lib/napi-v8/tfjs_binding.node'
const LIBRARIES = 'deps/lib'

/**
 * Builds the native binding of @tensorflow/tfjs-node against a TensorFlow library: two C++ files and Node-API, no
 * node-gyp. The libraries are linked, not copied: they have 850 MB.
 * @param folder of the package @tensorflow/tfjs-node
 * @param headers folder of Node-API's headers
 * @throws SetupError where there is no C++ compiler, or it fails
 */
export function buildBinding(folder: string, headers: string, library: TensorFlowLibrary): void {
  linkLibraries(join(folder, LIBRARIES), library.libraries)
  const output = join(folder, BINDING)
  mkdirSync(dirname(output), { recursive: true })
  const sources = ['tfjs_backend.cc', 'tfjs_binding.cc'].map((name) => join(folder, 'binding', name))
  const compiler = process.env.CXX ?? 'g++'
  step(`compiling the binding with ${compiler} (some ten seconds)`)
  const {
    ok,
    missing,
    output: said,
  } = run(compiler, [
    ...['-O2', '-std=c++17', '-shared', '-fPIC', '-DNAPI_VERSION=8', '-DBUILDING_NODE_EXTENSION'],
    ...['-I', headers, '-I', library.include, '-I', folder],
    ...sources,
    ...['-L', library.libraries, '-ltensorflow', '-ltensorflow_framework'],
    ...['-Wl,-rpath,$ORIGIN/../../deps/lib', '-o', output],
  ])
  if (missing)
    throw new SetupError(
      `${compiler} is not there: install a C++ compiler (apt-get install g++), or name one: CXX=clang++`,
    )
  if (!ok) throw new SetupError(`${compiler} could not compile the binding:\n${lastLines(said)}`)
}

function linkLibraries(folder: string, from: string): void {
  mkdirSync(folder, { recursive: true })
  for (const name of readdirSync(from).filter((one) => one.includes('.so'))) {
    const link = join(folder, name)
    if (existsSync(link) || isLink(link)) rmSync(link)
    symlinkSync(join(from, name), link)
  }
}

function isLink(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true
}
