import { stripVTControlCharacters } from 'node:util'

/**
 * How many columns of a terminal a text takes, where each of its characters takes one: the help is made of such. In the
 * bundle it stands for the package string-width, which knows all scripts and emoji and takes 20 ms to load them.
 */
export default function textWidth(text: string): number {
  return Array.from(stripVTControlCharacters(text)).length
}
