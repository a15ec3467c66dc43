/**
 * Draws what a command prints as an SVG picture of a terminal, for the README:
 *
 *     FORCE_COLOR=1 retrograd run ... | node dist/scripts/terminal-picture.js 'retrograd run ...' > docs/demo.svg
 */
import { readFileSync } from 'node:fs'

const CHARACTER = { width: 7.8, height: 18 }
const MARGIN = 22

/** Colours by ANSI code (SGR); the picture has a dark background whatever the page's. */
const STYLES: Readonly<Record<string, string>> = {
  '1': 'font-weight="bold" fill="#ffffff"',
  '2': 'fill="#8b949e"',
  '31': 'fill="#ff7b72"',
  '32': 'fill="#56d364"',
  '33': 'fill="#e3b341"',
}

interface Span {
  readonly column: number
  readonly text: string
  readonly style: string
}

function spans(line: string): Span[] {
  const found: Span[] = []
  let [style, column] = ['', 0]
  for (const part of line.split(/(\x1b\[\d+m)/)) {
    const code = /\[(\d+)m/.exec(part)?.[1]
    if (code !== undefined) style = STYLES[code] ?? ''
    else if (part !== '') {
      found.push({ column, text: part, style })
      column += part.length
    }
  }
  return found
}

function escaped(text: string): string {
  return text.replace(/[&<>]/g, (character) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;' })[character]!)
}

/** Every character has its own place, so that columns line up whatever font the page finds. */
function drawn({ column, text, style }: Span, y: number): string {
  const places = Array.from(text, (_, i) => (MARGIN + (column + i) * CHARACTER.width).toFixed(1))
  return `<text x="${places.join(' ')}" y="${y}" ${style}>${escaped(text)}</text>`
}

const lines = [`$ ${process.argv[2] ?? ''}`, ...readFileSync(0, 'utf8').replace(/\n+$/, '').split('\n')]
const columns = Math.max(...lines.map((line) => spans(line).reduce((sum, { text }) => sum + text.length, 0)))
const [width, height] = [columns * CHARACTER.width + 2 * MARGIN, lines.length * CHARACTER.height + 2 * MARGIN]
const body = lines.flatMap((line, row) =>
  spans(line).map((span) => drawn(span, MARGIN + (row + 0.8) * CHARACTER.height)),
)

process.stdout.write(
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width.toFixed(0)} ${height}" font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="13" fill="#c9d1d9" xml:space="preserve">\n` +
    `<rect width="100%" height="100%" rx="10" fill="#0d1117"/>\n${body.join('\n')}\n</svg>\n`,
)
