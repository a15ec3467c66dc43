import { readFileSync } from 'node:fs'
import { expect } from 'chai'

import { mutate, MUTATION_NAMES } from '../../scripts/fuzz/mutate.js'
import { RetrogradError } from '../../src/errors.js'
import { openTrajectory } from '../../src/trajectory/open-trajectory.js'
import { floatsOf, type Expected } from './recorded-run.js'
import type { Files } from './write-runs.js'

/** All numbers of a trajectory, by step and name. */
async function numbersOf(folder: string): Promise<ReadonlyMap<string, Expected>> {
  const numbers = new Map<string, Expected>()
  for (const checkpoint of (await openTrajectory(folder)).checkpoints)
    for (const [name, tensor] of await floatsOf(checkpoint)) numbers.set(`${checkpoint.step} ${name}`, tensor)
  return numbers
}

/**
 * Damages a run of two checkpoints in seeded ways, one file at a time, and reads it: the answer is an error of the
 * project's own, or numbers, in their shapes.
 * @param checksummed whether every number has a checksum, so that numbers must be the sound ones
 */
export async function expectSoundAnswers(
  files: Files,
  write: (files: Files) => string,
  rounds: number,
  checksummed: boolean,
): Promise<void> {
  const sound = await numbersOf(write(files))
  const names = Object.keys(files)
  let errors = 0
  for (let round = 0; round < rounds; round++) {
    const name = names[round % names.length]!
    const mutation = MUTATION_NAMES[round % MUTATION_NAMES.length]!
    const where = `${name}, ${mutation}, round ${round}`
    const damaged = mutate(Buffer.from(files[name]!), mutation, String(round))
    const outcome = await numbersOf(write({ ...files, [name]: damaged })).catch((error: unknown) => error)
    if (outcome instanceof Map)
      expectSound(outcome as ReadonlyMap<string, Expected>, sound, checksummed, where)
    else expect(outcome, where).to.be.instanceOf(RetrogradError)
    if (!(outcome instanceof Map)) errors++
  }
  expect(errors, 'damage that is noticed').to.be.greaterThan(rounds / 4)
}

function expectSound(
  found: ReadonlyMap<string, Expected>,
  sound: ReadonlyMap<string, Expected>,
  checksummed: boolean,
  where: string,
): void {
  for (const [name, { shape, values }] of found) {
    expect(values.length, `${where}: ${name}`).to.equal(shape.reduce((a, b) => a * b, 1))
    if (checksummed) expect(found.get(name), `${where}: ${name}`).to.deep.equal(sound.get(name))
  }
}

/** Files of a fixture, by their paths in its folder. */
export function fixtureFiles(folder: string, names: readonly string[]): Files {
  return Object.fromEntries(names.map((name) => [name, readFileSync(`${folder}/${name}`)]))
}
