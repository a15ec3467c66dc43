import { closeSync, ftruncateSync, mkdirSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'

/** A network of about 50 MB: 24 layers of 512 x 1024 and their biases. */
const LAYERS = 24
const SHAPE = [512, 1024] as const

/**
 * Writes an archive of `count` safetensors checkpoints of 50 MB each, whose numbers are holes in the file: they take no
 * room on the disk, and reading them would take as long as reading real ones.
 */
export function writeArchive(folder: string, count: number): void {
  mkdirSync(folder, { recursive: true })
  for (let step = 0; step < count; step += 1) {
    const header = Buffer.from(JSON.stringify(headerOf(step)))
    const prefix = Buffer.alloc(8)
    prefix.writeBigUInt64LE(BigInt(header.length))
    const file = openSync(join(folder, `step-${String(step).padStart(6, '0')}.safetensors`), 'w')
    writeSync(file, Buffer.concat([prefix, header]))
    ftruncateSync(file, 8 + header.length + dataBytes())
    closeSync(file)
  }
}

function headerOf(step: number): Record<string, unknown> {
  const header: Record<string, unknown> = { __metadata__: { step: String(step) } }
  let at = 0
  for (let layer = 0; layer < LAYERS; layer += 1)
    for (const [name, shape] of [
      ['weight', [...SHAPE]],
      ['bias', [SHAPE[0]]],
    ] as const) {
      const bytes = 4 * shape.reduce((product, size) => product * size, 1)
      header[`layers.${layer}.${name}`] = { dtype: 'F32', shape, data_offsets: [at, at + bytes] }
      at += bytes
    }
  return header
}

function dataBytes(): number {
  return LAYERS * 4 * (SHAPE[0] * SHAPE[1] + SHAPE[0])
}
