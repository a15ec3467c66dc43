/** 84060 as `84,060`. */
export function grouped(value: number): string {
  // toLocaleString would load the rules of a language first, which takes longer than the rest of a summary
  return String(value).replace(/\B(?=(\d{3})+$)/g, ',')
}

/** `1 unit`, `1,200 units`. */
export function counted(count: number, what: string): string {
  return `${grouped(count)} ${what}${count === 1 ? '' : 's'}`
}
