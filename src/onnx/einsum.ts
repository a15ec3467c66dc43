/** An Einsum equation with one letter for every axis: of each operand, and of the result. */
export interface Equation {
  readonly operands: readonly string[]
  readonly result: string
}

const LETTERS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'

/**
 * Reads an equation of Einsum 12. An ellipsis stands for letters of its own, aligned at their ends; without `->` the
 * result has the letters that stand once, in alphabetical order, behind those of the ellipsis.
 *
 * @param ranks the number of axes of each operand
 * @returns undefined where the equation doesn't fit the operands
 */
export function parseEquation(text: string, ranks: readonly number[]): Equation | undefined {
  const [left = '', right] = text.replaceAll(' ', '').split('->')
  const terms = left.split(',')
  if (terms.length !== ranks.length) return undefined
  const free = Array.from(LETTERS).filter((letter) => !text.includes(letter))
  const hidden = terms.map((term, i) => (term.includes('...') ? ranks[i]! - (term.length - '...'.length) : 0))
  const most = Math.max(...hidden)
  if (Math.min(...hidden) < 0 || most > free.length) return undefined
  const ellipsis = free.slice(0, most).join('')
  const operands = terms.map((term, i) => term.replace('...', ellipsis.slice(most - hidden[i]!)))
  if (operands.some((term, i) => term.length !== ranks[i])) return undefined
  const result = right === undefined ? ellipsis + lettersOnce(left) : right.replace('...', ellipsis)
  return { operands, result }
}

function lettersOnce(terms: string): string {
  const letters = Array.from(terms).filter((letter) => LETTERS.includes(letter))
  const once = letters.filter((letter) => letters.indexOf(letter) === letters.lastIndexOf(letter))
  return once.sort().join('')
}
