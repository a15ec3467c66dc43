import type { DescMessage } from '@bufbuild/protobuf'
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire'

/** A message, and where it ends. */
interface Open {
  readonly parts: ReadonlyMap<number, DescMessage>
  readonly end: number
}

const partsOf = new Map<DescMessage, ReadonlyMap<number, DescMessage>>()

/**
 * How many messages a message holds within, at any depth, counted without making any: an empty one takes two bytes of the
 * file and some hundred of memory. Counting ends beyond `most`.
 * @throws Error where the bytes are no protobuf
 */
export function countMessages(bytes: Uint8Array, schema: DescMessage, most: number): number {
  const reader = new BinaryReader(bytes)
  const open: Open[] = [{ parts: messagesIn(schema), end: bytes.length }]
  let count = 0
  while (count <= most) {
    while (open.length > 0 && reader.pos >= open.at(-1)!.end) open.pop()
    const here = open.at(-1)
    if (here === undefined) break
    const [number, type] = reader.tag()
    const inner = type === WireType.LengthDelimited ? here.parts.get(number) : undefined
    if (inner === undefined) reader.skip(type, number)
    else {
      const length = reader.uint32()
      if (reader.pos + length > here.end) throw new Error('a message that ends before its part does')
      open.push({ parts: messagesIn(inner), end: reader.pos + length })
      count += 1
    }
  }
  return count
}

/** The fields of a message that are messages themselves, by number. */
function messagesIn(schema: DescMessage): ReadonlyMap<number, DescMessage> {
  const known = partsOf.get(schema)
  if (known !== undefined) return known
  const parts = new Map(
    schema.fields.flatMap(({ number, message }) =>
      message === undefined ? [] : [[number, message] as const],
    ),
  )
  partsOf.set(schema, parts)
  return parts
}
