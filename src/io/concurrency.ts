/**
 * Applies `fn` to all items, at most `limit` at a time; results keep the items' order. An error ends it once what was
 * begun is done, and of several errors the first item's is thrown: which one that is does not depend on timing, since
 * items are begun in order.
 */
export async function mapLimited<T, R>(
  items: readonly T[],
  limit: number,
  fn: (item: T, index: number) => Promise<R>,
): Promise<R[]> {
  const results = new Array<R>(items.length)
  const errors = new Map<number, unknown>()
  const rest = items.entries()
  const worker = async (): Promise<void> => {
    for (const [index, item] of rest) {
      try {
        results[index] = await fn(item, index)
      } catch (error) {
        errors.set(index, error)
      }
      if (errors.size > 0) return
    }
  }
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, worker))
  if (errors.size > 0) throw errors.get(Math.min(...errors.keys()))
  return results
}
