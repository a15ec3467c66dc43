const DARK = matchMedia('(prefers-color-scheme: dark)')
const root = document.documentElement

/** What the reader chose, else what the system is set to. */
export function isDark(): boolean {
  return root.dataset.theme === undefined ? DARK.matches : root.dataset.theme === 'dark'
}

/** The button that changes the theme. Figures are drawn again, since their colours are in them. */
export function setUpTheme(redraw: () => void): void {
  const button = document.getElementById('theme')!
  const show = (): void => {
    button.setAttribute('aria-pressed', String(isDark()))
  }
  button.addEventListener('click', () => {
    root.dataset.theme = isDark() ? 'light' : 'dark'
    show()
    redraw()
  })
  DARK.addEventListener('change', () => {
    if (root.dataset.theme !== undefined) return
    show()
    redraw()
  })
  show()
}
