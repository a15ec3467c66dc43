import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { RetrogradError, reasonOf } from '../../src/errors.js'
import { mutate } from './mutate.js'
import { readAll, type Digests } from './read-all.js'
import type { Seed } from './seeds.js'

/** What the parent asks: read a seed with one of its files damaged, or as it is. */
export interface Job {
  readonly seed: Seed
  readonly damage?: { readonly file: string; readonly mutation: string; readonly number: string }
}

export interface Outcome {
  /** A read that is sound in form gave all numbers of the sound file, others, or the same and other arrays. */
  readonly result: 'typed error' | 'same numbers' | 'other numbers' | 'other arrays' | 'untyped error'
  readonly message: string
  readonly milliseconds: number
  /** How far the peak of the process' memory rose above what it held before. */
  readonly megabytes: number
  readonly fileBytes: number
}

const root = mkdtempSync(join(tmpdir(), 'retrograd-fuzz-'))
process.on('exit', () => {
  rmSync(root, { recursive: true, force: true })
})

/** A copy of each seed, made once, and the numbers of the sound one. */
const copies = new Map<string, { folder: string; sound: Digests }>()

process.on('message', (job: Job) => {
  void work(job).then((outcome) => process.send!(outcome))
})

async function work({ seed, damage }: Job): Promise<Outcome> {
  const { folder, sound } = await copyOf(seed)
  if (damage === undefined) return measure(seed, folder, sound, 0)
  const path = join(folder, damage.file)
  const bytes = readFileSync(path)
  const damaged = mutate(bytes, damage.mutation, damage.number)
  try {
    writeFileSync(path, damaged)
    return await measure(seed, folder, sound, damaged.length)
  } finally {
    writeFileSync(path, bytes)
  }
}

async function copyOf(seed: Seed): Promise<{ folder: string; sound: Digests }> {
  const known = copies.get(seed.id)
  if (known !== undefined) return known
  const folder = join(root, seed.id)
  cpSync(seed.folder, folder, { recursive: true })
  const sound = await readAll(seed.kind, join(folder, seed.opened)).catch(() => new Map<string, string>())
  const copy = { folder, sound }
  copies.set(seed.id, copy)
  return copy
}

async function measure(seed: Seed, folder: string, sound: Digests, fileBytes: number): Promise<Outcome> {
  const held = process.memoryUsage.rss()
  const peakBefore = process.resourceUsage().maxRSS * 1024
  const started = performance.now()
  let [result, message]: [Outcome['result'], string] = ['same numbers', '']
  try {
    const found = await readAll(seed.kind, join(folder, seed.opened))
    result = compare(found, sound)
  } catch (error) {
    result = error instanceof RetrogradError ? 'typed error' : 'untyped error'
    message = error instanceof RetrogradError ? error.message : ((error as Error).stack ?? reasonOf(error))
  }
  const milliseconds = performance.now() - started
  const peak = process.resourceUsage().maxRSS * 1024
  const megabytes = peak > peakBefore ? (peak - held) / 2 ** 20 : 0
  return { result, message, milliseconds, megabytes, fileBytes }
}

function compare(found: Digests, sound: Digests): Outcome['result'] {
  const differs = [...found].some(([key, value]) => sound.has(key) && sound.get(key) !== value)
  if (differs) return 'other numbers'
  return found.size === sound.size && [...found.keys()].every((key) => sound.has(key))
    ? 'same numbers'
    : 'other arrays'
}
