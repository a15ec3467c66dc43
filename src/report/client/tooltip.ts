const GAP = 14

/** Shows what is known of the mark below the pointer: a list of names and values, as texts. */
export function showTooltip(_: unknown, event: MouseEvent, __: unknown, value: unknown): void {
  const box = document.querySelector<HTMLElement>('.tooltip')!
  if (typeof value !== 'object' || value === null) {
    box.style.display = 'none'
    return
  }
  box.replaceChildren(listOf(value))
  box.style.display = 'block'
  const { offsetWidth, offsetHeight } = box
  const beside =
    event.clientX + GAP + offsetWidth > innerWidth ? event.clientX - GAP - offsetWidth : event.clientX + GAP
  const below =
    event.clientY + GAP + offsetHeight > innerHeight
      ? event.clientY - GAP - offsetHeight
      : event.clientY + GAP
  box.style.left = `${Math.max(4, beside)}px`
  box.style.top = `${Math.max(4, below)}px`
}

function listOf(value: object): HTMLElement {
  const list = document.createElement('dl')
  for (const [name, text] of Object.entries(value)) {
    const [term, description] = [document.createElement('dt'), document.createElement('dd')]
    term.textContent = name
    description.textContent = String(text)
    list.append(term, description)
  }
  return list
}
