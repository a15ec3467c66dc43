const UNPRINTABLE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu

/**
 * Text that comes from files, safe to write to a terminal: control characters, which could move its cursor or change
 * what is shown, and those that turn the direction of writing are spelled out (`\u001b`). Newlines and tabs stay.
 */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
