import { closeSync, existsSync, openSync, readdirSync, readSync } from 'node:fs'
import { join } from 'node:path'

/** Where a library was looked for and found. */
export interface Found {
  readonly path: string
  /** Whether programs find it there by themselves; otherwise LD_LIBRARY_PATH has to name its folder. */
  readonly loads: boolean
}

/** What the system says of its libraries; tests say something else. */
export interface Libraries {
  /** What `ldconfig -p` prints. */
  readonly cache: string
  /** The variable LD_LIBRARY_PATH. */
  readonly path: string
  /** Folders that no program looks into by itself: CUDA's own, and those of Python's packages. */
  readonly others: readonly string[]
  readonly exists: (path: string) => boolean
}

/** Finds a library of exactly this name. */
export function findLibrary(name: string, { cache, path, others, exists }: Libraries): Found | undefined {
  const named = path.split(':').filter((folder) => folder !== '')
  const inPath = named.map((folder) => join(folder, name)).find(exists)
  if (inPath !== undefined) return { path: inPath, loads: true }
  const inCache = cachedLibraries(cache).get(name)
  if (inCache !== undefined) return { path: inCache, loads: true }
  const elsewhere = others.map((folder) => join(folder, name)).find(exists)
  return elsewhere === undefined ? undefined : { path: elsewhere, loads: false }
}

/** Paths by library from `ldconfig -p`: `libcudart.so.12 (libc6,x86-64) => /usr/local/cuda/lib64/libcudart.so.12`. */
export function cachedLibraries(text: string): Map<string, string> {
  const lines = [...text.matchAll(/^\s*(\S+) \(([^)\n]*)\) => (\S+)$/gm)]
  return new Map(
    lines.filter(([, , kind]) => kind!.includes('x86-64')).map(([, name, , path]) => [name!, path!]),
  )
}

/** Folders of NVIDIA's libraries in Python's packages (`nvidia/cudnn/lib`), under these folders of packages. */
export function pythonLibraries(sitePackages: readonly string[]): string[] {
  return sitePackages.flatMap((folder) => {
    const nvidia = join(folder, 'nvidia')
    if (!existsSync(nvidia)) return []
    // before CUDA 13 each product had a folder of its own
    return readdirSync(nvidia).map((product) => join(nvidia, product, 'lib'))
  })
}

const BLOCK = 2 ** 20
/** Names of libraries that a library is linked with stand near its beginning. */
const SEARCHED_BYTES = 64 * BLOCK
const CUBLAS = /libcublasLt\.so\.(\d+)/

/** The major version of CUDA that a provider's library was built for, by the cuBLAS that it is linked with. */
export function cudaVersionOf(library: string): number | undefined {
  const file = openSync(library, 'r')
  try {
    const block = Buffer.alloc(BLOCK)
    let before = ''
    for (let offset = 0; offset < SEARCHED_BYTES; offset += BLOCK) {
      const count = readSync(file, block, 0, BLOCK, offset)
      if (count === 0) return undefined
      const text = before + block.toString('latin1', 0, count)
      const version = CUBLAS.exec(text)?.[1]
      if (version !== undefined) return Number(version)
      before = text.slice(-64)
    }
    return undefined
  } finally {
    closeSync(file)
  }
}
