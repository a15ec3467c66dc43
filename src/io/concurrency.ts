/** Applies `fn` to all items, at most `limit` at a time; results keep the items' order, the first error ends it. */
export async function mapLimited<T, R>(
  items: readonly T[],
  limit: number,
  fn: (item: T, index: number) => Promise<R>,
): Promise<R[]> {
  const results = new Array<R>(items.length)
  let failed = false
  const rest = items.entries()
  const worker = async (): Promise<void> => {
    for (const [index, item] of rest) {
      if (failed) return
      results[index] = await fn(item, index)
    }
  }
  const guarded = async (): Promise<void> => {
    try {
      await worker()
    } catch (error) {
      failed = true
      throw error
    }
  }
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, guarded))
  return results
}
