import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { RetrogradError, reasonOf } from '../../src/errors.js'
import { measureMemory } from './memory.js'
import { mutate } from './mutate.js'
import { readAll, type Digests } from './read-all.js'
import type { Seed } from './seeds.js'

/** What the parent asks: read a seed with one of its files damaged. */
export interface Job {
  readonly seed: Seed
  readonly file: string
  readonly mutation: string
  readonly number: string
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
process.on('disconnect', () => process.exit())

/** A copy of each folder, and the numbers of each sound seed: both made once. */
const copies = new Map<string, string>()
const sounds = new Map<string, Digests>()

process.on('message', (job: Job) => {
  void work(job).then((outcome) => process.send!(outcome))
})

async function work({ seed, file, mutation, number }: Job): Promise<Outcome> {
  const opened = join(copyOf(seed.folder), seed.opened)
  const sound = sounds.get(seed.id) ?? (await readAll(seed.kind, opened).catch(() => new Map()))
  sounds.set(seed.id, sound)
  const path = join(copyOf(seed.folder), file)
  const bytes = readFileSync(path)
  const damaged = mutate(bytes, mutation, number)
  try {
    writeFileSync(path, damaged)
    return { ...(await measure(seed, opened, sound)), fileBytes: damaged.length }
  } finally {
    writeFileSync(path, bytes)
  }
}

function copyOf(folder: string): string {
  const known = copies.get(folder)
  if (known !== undefined) return known
  const copy = join(root, String(copies.size))
  cpSync(folder, copy, { recursive: true })
  copies.set(folder, copy)
  return copy
}

async function measure(seed: Seed, opened: string, sound: Digests): Promise<Omit<Outcome, 'fileBytes'>> {
  const memory = measureMemory()
  const started = performance.now()
  let [result, message]: [Outcome['result'], string] = ['same numbers', '']
  try {
    const found = await readAll(seed.kind, opened)
    result = compare(found, sound)
  } catch (error) {
    result = error instanceof RetrogradError ? 'typed error' : 'untyped error'
    message = error instanceof RetrogradError ? error.message : ((error as Error).stack ?? reasonOf(error))
  }
  const milliseconds = performance.now() - started
  return { result, message, milliseconds, megabytes: memory() / 2 ** 20 }
}

function compare(found: Digests, sound: Digests): Outcome['result'] {
  const differs = [...found].some(([key, value]) => sound.has(key) && sound.get(key) !== value)
  if (differs) return 'other numbers'
  return found.size === sound.size && [...found.keys()].every((key) => sound.has(key))
    ? 'same numbers'
    : 'other arrays'
}
