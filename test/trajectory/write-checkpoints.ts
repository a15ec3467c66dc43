import { writeZip } from '../io/write-zip.js'

/** A safetensors file of any header, sound or not, and any data. */
export function safetensorsFile(header: unknown, data: Uint8Array = new Uint8Array()): Buffer {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(json.length))
  return Buffer.concat([length, json, data])
}

/** A sound safetensors file of one float32 vector per name. */
export function vectors(
  tensors: Readonly<Record<string, readonly number[]>>,
  metadata?: Record<string, string>,
): Buffer {
  let end = 0
  const header = Object.entries(tensors).map(([name, values]) => {
    const begin = end
    end += 4 * values.length
    return [name, { dtype: 'F32', shape: [values.length], data_offsets: [begin, end] }] as const
  })
  const data = Buffer.from(Float32Array.from(Object.values(tensors).flat()).buffer)
  return safetensorsFile({ ...(metadata && { __metadata__: metadata }), ...Object.fromEntries(header) }, data)
}

/** What torch.save writes around a pickle: a zip archive with storages beside it. */
export function torchFile(pickle: Uint8Array, storages: Readonly<Record<string, Uint8Array>> = {}): Buffer {
  return writeZip([
    { name: 'archive/data.pkl', data: pickle },
    { name: 'archive/byteorder', data: Buffer.from('little') },
    ...Object.entries(storages).map(([key, data]) => ({ name: `archive/data/${key}`, data })),
  ])
}

/** Operations of a pickle, as bytes (Python's pickletools has their list). */
export const op = {
  text: (value: string): Buffer => withLength('X', Buffer.from(value)),
  int: (value: number): Buffer => {
    const bytes = Buffer.alloc(5, 'J')
    bytes.writeInt32LE(value, 1)
    return bytes
  },
  global: (module: string, name: string): Buffer => Buffer.from(`c${module}\n${name}\n`),
  tuple: (...items: readonly Buffer[]): Buffer =>
    Buffer.concat([Buffer.from('('), ...items, Buffer.from('t')]),
  call: (callable: Buffer, args: Buffer): Buffer => Buffer.concat([callable, args, Buffer.from('R')]),
  dict: (...items: readonly Buffer[]): Buffer =>
    Buffer.concat([Buffer.from('}('), ...items, Buffer.from('u')]),
  bytes: (...values: readonly number[]): Buffer => Buffer.from(values),
}

/** A whole pickle of protocol 2. */
export function pickle(...parts: readonly Buffer[]): Buffer {
  return Buffer.concat([op.bytes(0x80, 2), ...parts, Buffer.from('.')])
}

/** The pickle of a float32 tensor; its storage is `key` with `held` elements. */
export function tensorOp(
  shape: readonly number[],
  stride: readonly number[],
  options: { key?: string; held?: number; offset?: number } = {},
): Buffer {
  const { key = '0', held = shape.reduce((a, b) => a * b, 1), offset = 0 } = options
  const storage = op.tuple(
    op.text('storage'),
    op.global('torch', 'FloatStorage'),
    op.text(key),
    op.text('cpu'),
    op.int(held),
  )
  const sizes = (values: readonly number[]): Buffer => op.tuple(...values.map(op.int))
  const args = op.tuple(
    Buffer.concat([storage, Buffer.from('Q')]),
    op.int(offset),
    sizes(shape),
    sizes(stride),
  )
  return op.call(op.global('torch._utils', '_rebuild_tensor'), args)
}

function withLength(code: string, content: Buffer): Buffer {
  const length = Buffer.alloc(4)
  length.writeUInt32LE(content.length)
  return Buffer.concat([Buffer.from(code), length, content])
}
