/** What a block's marker claims: a result of this name, a row for each combination of `keys`, with these numbers. */
export interface Claim {
  readonly name: string
  readonly keys: readonly string[]
  readonly values: readonly string[]
  /** Whether tools must agree in every bit. */
  readonly isExact: boolean
}

/** A code block of docs/dataframes.md. */
export interface Block {
  readonly tool: string
  readonly language: string
  readonly code: string
  /** Line of the page that the code begins at. */
  readonly line: number
  readonly claim: Claim | undefined
}

const FENCE = /^```(\w*)$/
const MARKER = /^<!-- (.*) -->$/
const CLAIM = /^(.*) (\w+)\(([^)]*)\): (.*?)( exactly)?$/

/**
 * The page's code blocks in order. Before each stands a comment that names what runs it, and where it ends in a result
 * what that is: `<!-- pandas loss(split, step_to): loss_to, reconstructed -->`. Throws where it is missing.
 */
export function blocksOf(page: string): Block[] {
  const lines = page.split('\n')
  const blocks: Block[] = []
  let marker: string | undefined
  for (let i = 0; i < lines.length; i++) {
    const language = FENCE.exec(lines[i]!)?.[1]
    if (language === undefined) {
      if (lines[i] !== '') marker = MARKER.exec(lines[i]!)?.[1]
      continue
    }
    if (marker === undefined) throw new Error(`line ${i + 1}: no comment says what runs this block`)
    const end = lines.indexOf('```', i + 1)
    blocks.push({ ...parseMarker(marker), language, code: lines.slice(i + 1, end).join('\n'), line: i + 2 })
    marker = undefined
    i = end
  }
  return blocks
}

function parseMarker(marker: string): Pick<Block, 'tool' | 'claim'> {
  const [, tool, name, keys, values, exactly] = CLAIM.exec(marker) ?? []
  if (tool === undefined) return { tool: marker, claim: undefined }
  const claim = { name: name!, keys: names(keys!), values: names(values!), isExact: exactly !== undefined }
  return { tool, claim }
}

function names(text: string): string[] {
  return text.split(',').map((name) => name.trim())
}
